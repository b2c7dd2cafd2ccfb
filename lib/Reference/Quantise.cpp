//===- Quantise.cpp - Numbers of quantised weights and their rows ---------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Quantise.h"

#include "dialects/LM/IR/WeightFormat.h"

#include <cmath>

using namespace mlir;
using namespace moec::reference;

/// Calls `body(start, count)` for each `span` columns of each row.
static void forSpans(const Tensor &tensor, int64_t span,
                     llvm::function_ref<void(int64_t, int64_t)> body) {
  int64_t columns = tensor.columns();
  for (int64_t row = 0; row < int64_t(tensor.data.size()); row += columns)
    for (int64_t k = 0; k < columns; k += span)
      body(row + k, std::min(span, columns - k));
}

Tensor moec::reference::quantiseWeight(const Tensor &weight,
                                       std::optional<lm::Format> format,
                                       bool readsFloats) {
  if (!format || !lm::isQuantised(*format) || weight.format == format)
    return weight;
  Tensor result(readsFloats ? Element::F32 : Element::F64, weight.shape);
  result.format = format;
  result.readsFloats = readsFloats;
  forSpans(weight, weight.columns(), [&](int64_t start, int64_t count) {
    std::vector<float> values(&weight.data[start], &weight.data[start] + count);
    MutableArrayRef<double> row(&result.data[start], count);
    for (const lm::QuantisedGroup &group : lm::quantiseRow(*format, values)) {
      lm::dequantise(*format, group, row.take_front(lm::kGroup));
      row = row.drop_front(std::min<size_t>(lm::kGroup, row.size()));
    }
  });
  result.round();
  return result;
}

/// Spans whose largest magnitude lies below count as zeros: what they are
/// divided by would not be finite.
static constexpr float kLeast = 0x1p-100f;

/// The integers nearest to x * (127 / max|x|), ties to even, times the scale
/// max|x| / 127.
static void quantiseSpan(const double *x, int64_t count, double *result) {
  float most = 0;
  bool isFinite = true;
  for (int64_t i = 0; i < count; ++i) {
    isFinite &= std::isfinite(x[i]);
    most = std::max(most, std::fabs(float(x[i])));
  }
  float scale = most < kLeast ? 0 : most / 127;
  float factor = most < kLeast ? 0 : 127 / most;
  for (int64_t i = 0; i < count; ++i)
    result[i] =
        isFinite ? double(std::nearbyint(float(x[i]) * factor)) * scale : NAN;
}

Tensor moec::reference::rowsFor(const Tensor &x, const Tensor &weight) {
  if (!weight.format || weight.readsFloats)
    return x;
  Tensor result(Element::F64, x.shape);
  int64_t span = lm::QuantisedLayout::of(*weight.format).span(x.columns());
  forSpans(x, span, [&](int64_t start, int64_t count) {
    quantiseSpan(&x.data[start], count, &result.data[start]);
  });
  return result;
}
