//===- Attention.cpp - Causal attention over a KV cache -------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include <cmath>

using namespace mlir;
using namespace moec::reference;

/// One head of one row as q8_0: rounded in f32, as compiled code does.
static void quantise(const double *from, int64_t count, double *to) {
  float most = 0;
  bool isFinite = true;
  for (int64_t i = 0; i < count; ++i) {
    most = std::max(most, std::abs(float(from[i])));
    isFinite &= std::isfinite(float(from[i]));
  }
  float scale = most / 127;
  for (int64_t i = 0; i < count; ++i) {
    float q = scale == 0 ? 0 : float(from[i]) / scale;
    q = std::nearbyint(std::clamp(q, -127.0f, 127.0f));
    to[i] = isFinite ? double(q) * scale
                     : std::numeric_limits<double>::quiet_NaN();
  }
}

/// Stores rows from element `first` on, rounded to the half's element type.
static void append(const Tensor &rows, int64_t first, int64_t headDim,
                   CacheHalf &half) {
  for (size_t i = 0; i < rows.data.size(); i += headDim)
    if (half.isQuantised)
      quantise(&rows.data[i], headDim, &half.data[first + i]);
    else
      for (int64_t c = 0; c < headDim; ++c)
        half.data[first + i + c] = roundTo(half.element, rows[i + c]);
}

/// Stores rows of keys and values from `position` on.
static void append(const Tensor &keys, const Tensor &values, int64_t position,
                   Cache &cache) {
  cache.growTo(position + keys.rows());
  append(keys, position * cache.width(), cache.headDim, cache.keys);
  append(values, position * cache.width(), cache.headDim, cache.values);
}

namespace {
/// One head of one row: softmax over positions first .. last.
struct HeadAttention {
  const Cache &cache;
  int64_t kvHead, first, last;
  double scale;
  std::optional<double> sink;
  /// Round the softmax's exponentials to bf16.
  bool roundsWeights;

  int64_t offset(int64_t position) const {
    return position * cache.width() + kvHead * cache.headDim;
  }
  std::vector<double> probabilities(const double *query) const;
  void run(const double *query, double *result) const;
};
} // namespace

std::vector<double> HeadAttention::probabilities(const double *query) const {
  std::vector<double> logits;
  double most = sink ? *sink : -std::numeric_limits<double>::infinity();
  for (int64_t j = first; j <= last; ++j) {
    double dot = 0;
    for (int64_t c = 0; c < cache.headDim; ++c)
      dot += query[c] * cache.keys.data[offset(j) + c];
    logits.push_back(scale * dot);
    most = std::max(most, logits.back());
  }
  // A sink takes a share of the sum and gives nothing to the result.
  double sum = sink ? std::exp(*sink - most) : 0;
  for (double &logit : logits) {
    logit = std::exp(logit - most);
    if (roundsWeights)
      logit = roundTo(Element::BF16, logit);
    sum += logit;
  }
  for (double &logit : logits)
    logit /= sum;
  return logits;
}

void HeadAttention::run(const double *query, double *result) const {
  std::vector<double> p = probabilities(query);
  for (int64_t j = first; j <= last; ++j)
    for (int64_t c = 0; c < cache.headDim; ++c)
      result[c] += p[j - first] * cache.values.data[offset(j) + c];
}

LogicalResult moec::reference::evaluate(lm::AttentionOp op, Frame &frame) {
  const Tensor &q = frame.tensor(op.getQ());
  const Tensor *sinks = frame.optionalTensor(op.getSinks());
  Cache &cache = frame.cache(op.getState());
  int64_t position = frame.index(op.getPosition());
  int64_t heads = op.getHeads(), window = op.getWindow();
  if (position < 0)
    return op.emitOpError("negative position ") << position;
  if (op.getK()) {
    if (frame.tensor(op.getK()).rows() != q.rows() ||
        frame.tensor(op.getV()).rows() != q.rows())
      return op.emitOpError("(attention_c4) q, k and v differ in rows");
    append(frame.tensor(op.getK()), frame.tensor(op.getV()), position, cache);
  }
  // Positions that nobody wrote are zeros.
  cache.growTo(position + q.rows());
  bool roundsWeights = q.element == Element::BF16 &&
                       cache.values.element == Element::BF16;
  Tensor result = Frame::makeResult(op->getResult(0), q.rows());
  for (int64_t t = 0; t < q.rows(); ++t)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t last = position + t;
      int64_t first = window ? std::max<int64_t>(0, last - window + 1) : 0;
      HeadAttention head{cache, h * cache.heads / heads, first, last,
                         op.getScale().convertToDouble(),
                         sinks ? std::optional((*sinks)[h]) : std::nullopt,
                         roundsWeights};
      int64_t at = t * q.columns() + h * cache.headDim;
      head.run(&q.data[at], &result.data[at]);
    }
  frame.set(op->getResult(0), std::move(result));
  return success();
}

LogicalResult moec::reference::evaluate(lm::AppendOp op, Frame &frame) {
  const Tensor &k = frame.tensor(op.getK()), &v = frame.tensor(op.getV());
  if (k.shape != v.shape)
    return op.emitOpError("k and v have shapes ")
           << k.getTypeName() << " and " << v.getTypeName();
  int64_t position = frame.index(op.getPosition());
  if (position < 0)
    return op.emitOpError("negative position ") << position;
  append(k, v, position, frame.cache(op.getState()));
  return success();
}
