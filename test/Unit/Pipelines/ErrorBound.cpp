//===- ErrorBound.cpp - How far f32 arithmetic may stray ------------------===//
//
// Part of moe-mlir. v is a value, e its error, u half a unit in the last place
// of 1 in f32.
//
//===----------------------------------------------------------------------===//

#include "ErrorBound.h"
#include "QuantisedError.h"
#include "dialects/LM/IR/WeightFormat.h"
#include "lib/Reference/Activation.h"
#include "lib/Reference/Quantise.h"
#include "lib/Reference/Routing.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace moec;
using namespace moec::reference;
using namespace moec::test;

static constexpr double u = 0x1p-24;

/// Distance between neighbouring numbers of a type at |v|.
static double ulp(Element element, double v) {
  auto at = [&](int precision, int lowest) {
    int exponent = v == 0 ? lowest : std::max(std::ilogb(v), lowest);
    return std::ldexp(1.0, exponent - precision + 1);
  };
  switch (element) {
  case Element::F32:
    return at(24, -126);
  case Element::BF16:
    return at(8, -126);
  case Element::F16:
    return at(11, -14);
  default:
    return 0;
  }
}

//===----------------------------------------------------------------------===//
// Values and errors
//===----------------------------------------------------------------------===//

const Tensor &ErrorBound::value(Value v) const {
  return *getTensor(values.find(v)->second);
}

const Tensor &ErrorBound::errorOf(Value v) const {
  return errors.find(v)->second;
}

Tensor ErrorBound::zerosLike(Value v) const {
  return Tensor(Element::F64, value(v).shape);
}

/// Adds what the result's rounding may add.
void ErrorBound::set(Value result, Tensor error) {
  const Tensor &v = value(result);
  for (size_t i = 0; i < error.data.size(); ++i)
    error[i] += ulp(v.element, std::abs(v[i]) + error[i]);
  errors[result] = std::move(error);
}

void ErrorBound::begin(func::FuncOp function,
                       ArrayRef<RuntimeValue> arguments) {
  values.clear();
  errors.clear();
  ambiguousRows.clear();
  for (auto [argument, v] : llvm::zip(function.getArguments(), arguments)) {
    values[argument] = v;
    const Tensor *tensor = getTensor(v);
    if (tensor && lm::getWeightFormat(argument))
      values[argument] =
          makeValue(quantiseWeight(*tensor, lm::getWeightFormat(argument),
                                   lm::hasFloatActivations(function)));
    if (tensor)
      errors[argument] = Tensor(Element::F64, tensor->shape);
  }
}

void ErrorBound::observe(Operation *op, ArrayRef<RuntimeValue> results) {
  for (auto [result, v] : llvm::zip(op->getResults(), results)) {
    values[result] = v;
    if (const Tensor *tensor = getTensor(v))
      errors[result] = Tensor(Element::F64, tensor->shape);
  }
  llvm::TypeSwitch<Operation *>(op)
      .Case<lm::LinearOp, lm::GatedLinearOp, lm::EmbeddingOp, lm::RMSNormOp,
            lm::LayerNormOp, lm::AddOp, lm::ActivateOp, lm::GatedOp,
            lm::ScaledAddOp, lm::LastRowsOp, lm::RopeTableOp, lm::RopeOp,
            lm::AttentionOp, mlir::moe::RouterOp, mlir::moe::DispatchOp,
            mlir::moe::GroupedMatmulOp, mlir::moe::CombineOp>(
          [&](auto concrete) { bound(concrete); })
      .Case<mlir::moe::LoadBalanceLossOp, mlir::moe::ZLossOp,
            mlir::moe::ImportanceLossOp>([&](auto loss) { boundExact(loss); })
      .Default([](Operation *) {});
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

/// Slopes of all activations lie within [-0.2, 1.2]. The exponential's error
/// grows with its argument.
static double activationError(lm::Activation function, double x, double e) {
  double v = std::abs(activate(function, x));
  return 1.2 * e + u * v * (16 + 8 * x * x + std::abs(x * x * x));
}

/// Error of act(g) * p.
static double gatedError(lm::Activation function, double g, double p, double eg,
                         double ep) {
  double a = std::abs(activate(function, g));
  double ea = activationError(function, g, eg);
  return ea * (std::abs(p) + ep) + a * ep + 2 * u * a * std::abs(p);
}

namespace {
/// A dot product and its error.
struct Dot {
  double sum = 0, magnitude = 0, carried = 0;
  int64_t length = 0;

  void add(double x, double ex, double w, double ew = 0) {
    addParts(x, ex, w, ew, std::abs(w));
  }
  /// `parts`: what w is made of, each multiplied on its own.
  void addParts(double x, double ex, double w, double ew, double parts) {
    sum += x * w;
    magnitude += std::abs(x) * parts;
    carried += ex * std::abs(w) + std::abs(x) * ew + ex * ew;
    ++length;
  }
  /// 1e-37: products that are flushed to zero.
  double error() const {
    return carried + (length + 2) * u * magnitude + length * 1e-37;
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Row t times a row of a weight.
static Dot dot(const ReadRows &rows, int64_t t, const Tensor &weight,
               int64_t row) {
  Dot result;
  const double *values = &weight.data[row * weight.columns()];
  for (int64_t k = 0; k < rows.x.columns(); ++k)
    result.addParts(rows.x.at(t, k), rows.error.at(t, k), values[k], 0,
                    partsOf(weight, values, k));
  return result;
}

/// What a factor with an error and a bias make of a product.
static Dot scaled(Dot dot, double factor, double error, double bias) {
  dot.carried = std::abs(factor) * dot.carried + error * dot.magnitude;
  dot.magnitude = std::abs(factor) * dot.magnitude + std::abs(bias);
  dot.sum = factor * dot.sum + bias;
  return dot;
}

void ErrorBound::bound(lm::LinearOp op) {
  const Tensor &w = value(op.getWeight());
  ReadRows x = readRows(value(op.getX()), errorOf(op.getX()), w);
  Tensor error = zerosLike(op->getResult(0));
  for (int64_t t = 0; t < error.rows(); ++t)
    for (int64_t n = 0; n < w.rows(); ++n) {
      Dot sum = dot(x, t, w, n);
      double bias = op.getBias() ? value(op.getBias())[n] : 0;
      error.at(t, n) = sum.error() + u * (std::abs(sum.sum) + std::abs(bias));
    }
  set(op->getResult(0), std::move(error));
}

void ErrorBound::bound(lm::GatedLinearOp op) {
  const Tensor &w = value(op.getWeight());
  ReadRows x = readRows(value(op.getX()), errorOf(op.getX()), w);
  Tensor error = zerosLike(op->getResult(0));
  int64_t width = error.columns();
  for (int64_t t = 0; t < error.rows(); ++t)
    for (int64_t n = 0; n < width; ++n) {
      Dot g = dot(x, t, w, n), p = dot(x, t, w, width + n);
      error.at(t, n) =
          gatedError(op.getFunction(), g.sum, p.sum, g.error(), p.error());
    }
  set(op->getResult(0), std::move(error));
}

void ErrorBound::bound(mlir::moe::GroupedMatmulOp op) {
  const Plan &plan = *std::get<std::shared_ptr<const Plan>>(
      values.find(op.getPlan().front())->second);
  const Tensor &w = value(op.getWeight());
  ReadRows x = readRows(value(op.getX()), errorOf(op.getX()), w);
  Tensor error = zerosLike(op->getResult(0));
  int64_t width = error.columns();
  for (int64_t e = 0; e < plan.experts; ++e)
    for (int64_t r = plan.offsets[e]; r < plan.offsets[e + 1]; ++r)
      for (int64_t n = 0; n < width; ++n) {
        int64_t source = op.getGather() ? plan.tokenOf(r) : r;
        auto product = [&](int64_t column) {
          int64_t choice = plan.choice[r];
          Value scale = op.getRowScale();
          return scaled(dot(x, source, w, e * w.shape[1] + column),
                        scale ? value(scale)[choice] : 1,
                        scale ? errorOf(scale)[choice] : 0,
                        op.getBias() ? value(op.getBias()).at(e, column) : 0);
        };
        Dot g = product(n);
        if (!op.getFunction()) {
          error.at(r, n) = g.error();
          continue;
        }
        Dot p = product(width + n);
        error.at(r, n) =
            gatedError(*op.getFunction(), g.sum, p.sum, g.error(), p.error());
      }
  set(op->getResult(0), std::move(error));
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

void ErrorBound::bound(lm::EmbeddingOp op) {
  const Tensor &result = value(op->getResult(0));
  Tensor error = zerosLike(op->getResult(0));
  for (size_t i = 0; i < error.data.size(); ++i)
    error[i] = u * std::abs(result[i]);
  set(op->getResult(0), std::move(error));
}

void ErrorBound::bound(lm::RMSNormOp op) {
  const Tensor &x = value(op.getX()), &ex = errorOf(op.getX());
  const Tensor &w = value(op.getWeight());
  int64_t groups = op.getGroups(), width = x.columns() / groups;
  double eps = op.getEps().convertToDouble();
  Tensor error = zerosLike(op->getResult(0));
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t first = 0; first < x.columns(); first += width) {
      Dot squares;
      for (int64_t c = first; c < first + width; ++c)
        squares.add(x.at(t, c), ex.at(t, c), x.at(t, c), ex.at(t, c));
      double mean = squares.sum / width + eps;
      double factor = 1 / std::sqrt(mean);
      double relative = 0.5 * squares.error() / width / mean + 8 * u;
      for (int64_t c = first; c < first + width; ++c)
        error.at(t, c) = std::abs(w[c - first]) * factor *
                         (ex.at(t, c) + std::abs(x.at(t, c)) * relative);
    }
  set(op->getResult(0), std::move(error));
}

void ErrorBound::bound(lm::LayerNormOp op) {
  const Tensor &x = value(op.getX()), &ex = errorOf(op.getX());
  const Tensor &w = value(op.getWeight());
  int64_t width = x.columns();
  double eps = op.getEps().convertToDouble();
  Tensor error = zerosLike(op->getResult(0));
  for (int64_t t = 0; t < x.rows(); ++t) {
    Dot mean, squares;
    for (int64_t c = 0; c < width; ++c)
      mean.add(x.at(t, c), ex.at(t, c), 1.0 / width);
    auto centred = [&](int64_t c) { return x.at(t, c) - mean.sum; };
    auto centredError = [&](int64_t c) {
      return ex.at(t, c) + mean.error() + u * std::abs(centred(c));
    };
    for (int64_t c = 0; c < width; ++c)
      squares.add(centred(c), centredError(c), centred(c), centredError(c));
    double variance = squares.sum / width + eps;
    double factor = 1 / std::sqrt(variance);
    double relative = 0.5 * squares.error() / width / variance + 8 * u;
    for (int64_t c = 0; c < width; ++c) {
      double bias = op.getBias() ? value(op.getBias())[c] : 0;
      error.at(t, c) = std::abs(w[c]) * factor *
                           (centredError(c) + std::abs(centred(c)) * relative) +
                       u * std::abs(bias);
    }
  }
  set(op->getResult(0), std::move(error));
}

void ErrorBound::bound(lm::AddOp op) {
  const Tensor &result = value(op->getResult(0));
  const Tensor &a = errorOf(op.getLhs()), &b = errorOf(op.getRhs());
  Tensor error = zerosLike(op->getResult(0));
  for (size_t i = 0; i < error.data.size(); ++i)
    error[i] = a[i] + b[i] + u * std::abs(result[i]);
  set(op->getResult(0), std::move(error));
}

void ErrorBound::bound(lm::ActivateOp op) {
  const Tensor &x = value(op.getX()), &ex = errorOf(op.getX());
  Tensor error = zerosLike(op->getResult(0));
  for (size_t i = 0; i < error.data.size(); ++i)
    error[i] = activationError(op.getFunction(), x[i], ex[i]);
  set(op->getResult(0), std::move(error));
}

void ErrorBound::bound(lm::GatedOp op) {
  const Tensor &x = value(op.getX()), &ex = errorOf(op.getX());
  Tensor error = zerosLike(op->getResult(0));
  int64_t width = error.columns();
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t c = 0; c < width; ++c)
      error.at(t, c) =
          gatedError(op.getFunction(), x.at(t, c), x.at(t, width + c),
                     ex.at(t, c), ex.at(t, width + c));
  set(op->getResult(0), std::move(error));
}

void ErrorBound::bound(lm::ScaledAddOp op) {
  const Tensor &acc = value(op.getAcc()), &y = value(op.getY());
  const Tensor &scale = value(op.getScale());
  Tensor error = zerosLike(op->getResult(0));
  for (int64_t t = 0; t < acc.rows(); ++t)
    for (int64_t c = 0; c < acc.columns(); ++c)
      error.at(t, c) = errorOf(op.getAcc()).at(t, c) +
                       u * std::abs(acc.at(t, c)) +
                       gatedError(op.getFunction(), scale.at(t, 0), y.at(t, c),
                                  errorOf(op.getScale()).at(t, 0),
                                  errorOf(op.getY()).at(t, c));
  set(op->getResult(0), std::move(error));
}

void ErrorBound::bound(lm::LastRowsOp op) {
  const Tensor &ex = errorOf(op.getX());
  Tensor error = zerosLike(op->getResult(0));
  size_t skipped = ex.data.size() - error.data.size();
  for (size_t i = 0; i < error.data.size(); ++i)
    error[i] = ex[skipped + i];
  set(op->getResult(0), std::move(error));
}

//===----------------------------------------------------------------------===//
// Position and attention
//===----------------------------------------------------------------------===//

void ErrorBound::bound(lm::RopeTableOp op) {
  Tensor error = zerosLike(op->getResult(0));
  for (double &e : error.data)
    e = 1e-10 * std::abs(op.getScale().convertToDouble());
  set(op->getResult(0), std::move(error));
}

void ErrorBound::bound(lm::RopeOp op) {
  const Tensor &x = value(op.getX()), &table = value(op.getTable());
  const Tensor &ex = errorOf(op.getX()), &et = errorOf(op.getTable());
  int64_t heads = op.getHeads(), size = x.columns() / heads;
  int64_t n = table.columns() / 2;
  bool isAdjacent = op.getStyle() == lm::RopeStyle::Adjacent;
  Tensor error = ex;
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t i = 0; i < n; ++i) {
        int64_t a = head * size + (isAdjacent ? 2 * i : i);
        int64_t b = isAdjacent ? a + 1 : a + n;
        auto rotated = [&](int64_t by, int64_t with) {
          Dot sum;
          sum.add(x.at(t, by), ex.at(t, by), table.at(t, i), et.at(t, i));
          sum.add(x.at(t, with), ex.at(t, with), table.at(t, n + i),
                  et.at(t, n + i));
          return sum.error();
        };
        error.at(t, a) = rotated(a, b);
        error.at(t, b) = rotated(b, a);
      }
  set(op->getResult(0), std::move(error));
}

/// Where what compiled code stores differs at all, the scale may be off by the
/// largest error, and each integer by one.
static void appendQuantised(const Tensor &error, const Cache &cache,
                            const std::vector<double> &stored, int64_t first,
                            std::vector<double> &result) {
  int64_t count = cache.headDim;
  for (size_t i = 0; i < error.data.size(); i += count) {
    double most = 0, off = 0;
    for (int64_t c = 0; c < count; ++c) {
      most = std::max(most, std::abs(stored[first + i + c]));
      off = std::max(off, error[i + c]);
    }
    double quantum = 1.01 * (most + off) / 127;
    for (int64_t c = 0; c < count; ++c)
      result[first + i + c] = off == 0 ? 0 : 2 * off + quantum;
  }
}

/// The error of what one half of a cache stores from element `first` on.
static void appendError(const Tensor &error, const Cache &cache,
                        const CacheHalf &half, int64_t first,
                        std::vector<double> &result) {
  if (half.isQuantised)
    return appendQuantised(error, cache, half.data, first, result);
  for (size_t i = 0; i < error.data.size(); ++i) {
    // What compiled code stores is rounded as well: one unit where it differs.
    double e = error[i], v = std::abs(half.data[first + i]);
    result[first + i] = e == 0 ? 0 : e + ulp(half.element, v + e);
  }
}

void ErrorBound::appendToCache(lm::AttentionOp op, CacheError &cacheError,
                               const Cache &cache) {
  cacheError.keys.resize(cache.keys.data.size(), 0.0);
  cacheError.values.resize(cache.values.data.size(), 0.0);
  if (!op.getK())
    return;
  int64_t position = std::get<int64_t>(values.find(op.getPosition())->second);
  int64_t first = position * cache.width();
  appendError(errorOf(op.getK()), cache, cache.keys, first, cacheError.keys);
  appendError(errorOf(op.getV()), cache, cache.values, first,
              cacheError.values);
}

void ErrorBound::bound(lm::AttentionOp op) {
  const Cache &cache =
      *std::get<std::shared_ptr<Cache>>(values.find(op.getState())->second);
  CacheError &cacheError = cacheErrors[&cache];
  appendToCache(op, cacheError, cache);
  const Tensor &q = value(op.getQ()), &eq = errorOf(op.getQ());
  int64_t position = std::get<int64_t>(values.find(op.getPosition())->second);
  int64_t heads = op.getHeads(), window = op.getWindow(), d = cache.headDim;
  double scale = std::abs(op.getScale().convertToDouble());
  Tensor error = zerosLike(op->getResult(0));
  for (int64_t t = 0; t < q.rows(); ++t)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t last = position + t;
      int64_t first = window ? std::max<int64_t>(0, last - window + 1) : 0;
      int64_t kvHead = h * cache.heads / heads;
      auto at = [&](int64_t j) { return j * cache.width() + kvHead * d; };
      // The logits, and the largest error of one.
      std::vector<double> p;
      double most = op.getSinks() ? value(op.getSinks())[h] : -1e30;
      double logitError = 0, sum = 0;
      for (int64_t j = first; j <= last; ++j) {
        Dot dot;
        for (int64_t c = 0; c < d; ++c)
          dot.add(q.at(t, h * d + c), eq.at(t, h * d + c),
                  cache.keys.data[at(j) + c], cacheError.keys[at(j) + c]);
        p.push_back(op.getScale().convertToDouble() * dot.sum);
        most = std::max(most, p.back());
        logitError = std::max(logitError,
                              scale * dot.error() + 8 * u * std::abs(p.back()));
      }
      if (op.getSinks())
        sum = std::exp(value(op.getSinks())[h] - most);
      for (double &logit : p)
        sum += logit = std::exp(logit - most);
      double relative =
          2 * logitError + 8 * u * std::abs(most) + (2 * p.size() + 32) * u;
      // Each exponential is rounded twice apart, at a block's maximum and at
      // the final one, and so is their sum.
      if (q.element == Element::BF16 && cache.values.element == Element::BF16)
        relative += 4 * std::ldexp(1.0, -9);
      for (int64_t j = first; j <= last; ++j)
        for (int64_t c = 0; c < d; ++c)
          error.at(t, h * d + c) +=
              p[j - first] / sum *
              (cacheError.values[at(j) + c] +
               std::abs(cache.values.data[at(j) + c]) * relative);
    }
  set(op->getResult(0), std::move(error));
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

namespace {
/// One row of a router, run again with other logits.
struct RouterRow {
  const Tensor &logits;
  int64_t row;
  const Tensor *bias;
  mlir::moe::RouterConfigAttr config;

  /// The row's choices when logit e moves by `by(e)`.
  Choices run(llvm::function_ref<double(int64_t)> by) const {
    int64_t experts = logits.columns();
    Tensor moved(Element::F64, {1, experts});
    for (int64_t e = 0; e < experts; ++e)
      moved[e] = logits.at(row, e) + by(e);
    return route(moved, bias, nullptr, config);
  }
};
} // namespace

static std::map<int64_t, double> weightsById(const Choices &choices) {
  std::map<int64_t, double> weights;
  for (size_t s = 0; s < choices.ids.data.size(); ++s)
    weights[choices.ids[s]] = choices.weights[s];
  return weights;
}

static bool isSameSet(const Choices &a, const Choices &b) {
  auto ids = [](const Choices &choices) {
    return std::set<double>(choices.ids.data.begin(), choices.ids.data.end());
  };
  return ids(a) == ids(b);
}

/// True if weights move by more than logits do that move by `reach`: where
/// sparse_mixer takes an expert for near, or no longer.
static bool hasJump(const Choices &a, const Choices &b, double reach) {
  for (size_t s = 0; s < a.weights.data.size(); ++s)
    if (std::abs(a.weights[s] - b.weights[s]) > 16 * reach)
      return true;
  return false;
}

/// True if it matters in which slot an expert comes.
static bool isOrdered(Value ids) {
  return llvm::any_of(ids.getUsers(), [](Operation *user) {
    auto dispatch = dyn_cast<mlir::moe::DispatchOp>(user);
    return dispatch && dispatch.getOverflow() != mlir::moe::Overflow::None;
  });
}

void ErrorBound::bound(mlir::moe::RouterOp op) {
  const Tensor &logits = value(op.getLogits()), &el = errorOf(op.getLogits());
  const Tensor *bias = op.getBias() ? &value(op.getBias()) : nullptr;
  Tensor error = zerosLike(op->getResult(0));
  int64_t k = error.columns();
  bool ordered = isOrdered(op->getResult(1));
  bool jumps = op.getConfig().getScore() == mlir::moe::Score::SparseMixer;
  for (int64_t t = 0; t < logits.rows(); ++t) {
    RouterRow row{logits, t, bias, op.getConfig()};
    Choices choices = row.run([](int64_t) { return 0; });
    // A score is rounded too: near 1 a sigmoid moves less than its argument.
    auto reach = [&](int64_t e) { return el.at(t, e) + 2e-5; };
    for (int64_t e = 0; e < logits.columns(); ++e) {
      for (double sign : {1.0, -1.0}) {
        Choices moved = row.run([&](int64_t other) {
          return (other == e ? sign : -sign) * reach(other);
        });
        if (!isSameSet(choices, moved) ||
            (ordered && choices.ids.data != moved.ids.data) ||
            (jumps && hasJump(choices, moved, reach(e))))
          ambiguousRows.insert(t);
      }
      double step = el.at(t, e) + u * (1 + std::abs(logits.at(t, e)));
      auto moved = weightsById(
          row.run([&](int64_t other) { return other == e ? step : 0; }));
      for (int64_t s = 0; s < k; ++s)
        error.at(t, s) +=
            1.5 * std::abs(moved[choices.ids.at(0, s)] - choices.weights[s]);
    }
    for (int64_t s = 0; s < k; ++s)
      error.at(t, s) += 32 * u * std::abs(choices.weights[s]) + u * u;
  }
  set(op->getResult(0), std::move(error));
}

/// A choice that rounding may turn away, or not, changes its token's row. If
/// other experts may be chosen, any row may be turned away.
void ErrorBound::bound(mlir::moe::DispatchOp op) {
  using mlir::moe::Overflow;
  const Tensor &ids = value(op.getIds());
  if (op.getOverflow() == Overflow::None)
    return;
  if (!ambiguousRows.empty())
    for (int64_t t = 0; t < ids.rows(); ++t)
      ambiguousRows.insert(t);
  if (op.getOverflow() != Overflow::Probability)
    return;
  const Plan &plan = *std::get<std::shared_ptr<const Plan>>(
      values.find(op->getResult(0))->second);
  const Tensor &w = value(op.getWeights().front());
  const Tensor &ew = errorOf(op.getWeights().front());
  for (size_t a = 0; a < ids.data.size(); ++a)
    for (size_t b = 0; b < ids.data.size(); ++b)
      if (ids[a] == ids[b] && plan.row[a] >= 0 && plan.row[b] < 0 &&
          ew[a] + ew[b] > 0 && w[a] - ew[a] <= w[b] + ew[b]) {
        ambiguousRows.insert(a / ids.columns());
        ambiguousRows.insert(b / ids.columns());
      }
}

/// Both sum in f64; their elementary functions differ by units.
void ErrorBound::boundExact(Operation *op) {
  Tensor error = zerosLike(op->getResult(0));
  error[0] = 0x1p-46 * std::abs(value(op->getResult(0))[0]);
  set(op->getResult(0), std::move(error));
}

void ErrorBound::bound(mlir::moe::CombineOp op) {
  const Plan &plan = *std::get<std::shared_ptr<const Plan>>(
      values.find(op.getPlan().front())->second);
  const Tensor &y = value(op.getY()), &weights = value(op.getWeights());
  Tensor error = zerosLike(op->getResult(0));
  for (int64_t t = 0; t < error.rows(); ++t)
    for (int64_t c = 0; c < error.columns(); ++c) {
      Dot sum;
      for (int64_t s = 0; s < plan.slots; ++s)
        if (int64_t r = plan.row[t * plan.slots + s]; r >= 0)
          sum.add(y.at(r, c), errorOf(op.getY()).at(r, c), weights.at(t, s),
                  errorOf(op.getWeights()).at(t, s));
      if (Value identity = op.getIdentity())
        for (int64_t s = 0; s < plan.slots; ++s)
          if (value(op.getIds()).at(t, s) >= int64_t(*op.getIdentityFrom()))
            sum.add(value(identity).at(t, c), errorOf(identity).at(t, c),
                    weights.at(t, s), errorOf(op.getWeights()).at(t, s));
      if (op.getResidual())
        sum.add(value(op.getResidual()).at(t, c),
                errorOf(op.getResidual()).at(t, c), 1);
      if (op.getBias())
        sum.add(value(op.getBias())[c], 0, 1);
      error.at(t, c) = sum.error();
    }
  set(op->getResult(0), std::move(error));
}
