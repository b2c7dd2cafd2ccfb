//===- Router.cpp - Which experts, and with what weight -------------------===//
//
// Part of moe-mlir. One row at a time, in the steps of #moe.router.
//
//===----------------------------------------------------------------------===//

#include "Activation.h"
#include "Evaluate.h"
#include "Products.h"
#include "Routing.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace moec::reference;
using mlir::moe::RouterConfigAttr;

using Numbers = std::vector<double>;
static constexpr double kInfinity = std::numeric_limits<double>::infinity();

static Numbers softmax(ArrayRef<double> logits) {
  double most = -kInfinity, sum = 0;
  for (double logit : logits)
    most = std::max(most, logit);
  Numbers result;
  for (double logit : logits)
    sum += result.emplace_back(std::exp(logit - most));
  for (double &p : result)
    p /= sum;
  return result;
}

//===----------------------------------------------------------------------===//
// Order of keys
//===----------------------------------------------------------------------===//

bool moec::reference::isGreaterKey(double a, double b) {
  if (std::isnan(a) || std::isnan(b))
    return !std::isnan(a) && std::isnan(b);
  return a > b;
}

/// `ids` in descending order of key, ties in ascending order of id.
static std::vector<int64_t> inOrder(std::vector<int64_t> ids,
                                    ArrayRef<double> keys) {
  llvm::sort(ids, [&](int64_t a, int64_t b) {
    if (isGreaterKey(keys[a], keys[b]) || isGreaterKey(keys[b], keys[a]))
      return isGreaterKey(keys[a], keys[b]);
    return a < b;
  });
  return ids;
}

static std::vector<int64_t> numbersTo(int64_t count) {
  std::vector<int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

namespace {
/// One row's way from logits to choices.
struct RowRouter {
  RouterConfigAttr config;
  ArrayRef<double> logits;
  const Tensor *bias;

  Numbers scores = {}, keys = {};
  std::vector<int64_t> ids = {};
  Numbers weights = {};
  /// Slots from this one on are filled for want of eligible experts.
  size_t eligibleSlots = 0;

  int64_t experts() const { return logits.size(); }

  void run(const double *staticIds);
  void computeScores();
  void computeKeys();
  std::vector<int64_t> eligible();
  double rankGroup(ArrayRef<int64_t> members) const;
  void choose();
  void computeWeights();
  void renormalize();
  void runSparseMixer();
};
} // namespace

void RowRouter::computeScores() {
  using mlir::moe::Score;
  scores.assign(logits.begin(), logits.end());
  switch (config.getScore()) {
  case Score::Softmax:
    scores = softmax(logits);
    break;
  case Score::Sigmoid:
    for (double &s : scores)
      s = sigmoid(s);
    break;
  case Score::SqrtSoftplus:
    // softplus(x) = max(x, 0) + log(1 + exp(-|x|)) does not overflow.
    for (double &s : scores)
      s = std::sqrt((s < 0 ? 0 : s) + std::log1p(std::exp(-std::abs(s))));
    break;
  case Score::Identity:
  case Score::SparseMixer:
    break;
  }
}

void RowRouter::computeKeys() {
  using mlir::moe::SelectKey;
  keys = config.getSelect() == SelectKey::ByLogit
             ? Numbers(logits.begin(), logits.end())
             : scores;
  if (config.getSelect() == SelectKey::ByBiasedScore)
    for (int64_t e = 0; e < experts(); ++e)
      keys[e] += (*bias)[e];
}

double RowRouter::rankGroup(ArrayRef<int64_t> members) const {
  std::vector<int64_t> best = inOrder(members.vec(), keys);
  if (config.getGroupScore() == mlir::moe::GroupScore::Max)
    return keys[best[0]];
  return keys[best[0]] + keys[best[1]];
}

/// Experts that may be chosen. With masked = zero that is all of them, but
/// those of losing groups have the key 0.
std::vector<int64_t> RowRouter::eligible() {
  int64_t groups = config.getGroups(), size = experts() / groups;
  if (groups == 1)
    return numbersTo(experts());
  std::vector<std::vector<int64_t>> members(groups);
  Numbers ranks;
  for (int64_t e = 0; e < experts(); ++e)
    members[e / size].push_back(e);
  for (int64_t g = 0; g < groups; ++g)
    ranks.push_back(rankGroup(members[g]));
  std::vector<int64_t> order = inOrder(numbersTo(groups), ranks), stay;
  for (auto [place, g] : llvm::enumerate(order)) {
    bool wins = int64_t(place) < config.getTopGroups();
    bool masksWithZero = config.getMasked() == mlir::moe::MaskedKey::Zero;
    if (!wins && masksWithZero)
      for (int64_t e : members[g])
        keys[e] = 0;
    if (wins || masksWithZero)
      llvm::append_range(stay, members[g]);
  }
  return stay;
}

void RowRouter::choose() {
  ids = inOrder(eligible(), keys);
  size_t k = config.getTopK();
  ids.resize(std::min(ids.size(), k));
  eligibleSlots = ids.size();
  for (int64_t e = 0; ids.size() < k; ++e)
    if (!llvm::is_contained(ids, e))
      ids.push_back(e);
}

void RowRouter::renormalize() {
  using mlir::moe::Renormalize;
  auto divideBy = [&](double divisor) {
    for (double &w : weights)
      w /= divisor;
  };
  double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  switch (config.getRenormalize()) {
  case Renormalize::None:
    return;
  case Renormalize::L1:
    return divideBy(sum + config.getEpsOr(0));
  case Renormalize::ClampedSum:
    return divideBy(std::max(sum, config.getEpsOr(0)));
  case Renormalize::Lp: {
    double p = config.getPOr(2), powers = 0;
    for (double w : weights)
      powers += std::pow(std::abs(w), p);
    return divideBy(std::pow(powers, 1 / p));
  }
  case Renormalize::SoftmaxOverChosen: {
    Numbers chosen;
    for (size_t s = 0; s < weights.size(); ++s)
      chosen.push_back(logits[ids[s]]);
    weights = softmax(chosen);
    return;
  }
  }
}

void RowRouter::computeWeights() {
  for (size_t s = 0; s < eligibleSlots; ++s)
    weights.push_back(scores[ids[s]]);
  renormalize();
  for (double &w : weights)
    w *= config.getScaleOr(1);
  weights.resize(ids.size(), 0.0);
}

/// Phi-3.5-MoE, evaluation form (phimoe's `sparsemixer` in transformers): in
/// each pass the largest logit wins, and its weight is its share among those
/// within 2 * eps of it, relative to max(|logit|, largest). The second pass
/// leaves the first winner out.
void RowRouter::runSparseMixer() {
  double bound = 2 * config.getEpsOr(0.01);
  std::vector<int64_t> order = inOrder(numbersTo(experts()), logits);
  for (int64_t pass = 0; pass < int64_t(config.getTopK()); ++pass) {
    double most = logits[order[pass]];
    Numbers near(experts(), -kInfinity);
    for (int64_t e = 0; e < experts(); ++e) {
      double factor = std::max(std::abs(logits[e]), most);
      bool isChosen = llvm::is_contained(ids, e);
      bool isFar = (most - logits[e]) / factor > bound;
      if (!isChosen && !isFar)
        near[e] = logits[e];
    }
    ids.push_back(order[pass]);
    weights.push_back(softmax(near)[order[pass]] * config.getScaleOr(1));
  }
}

void RowRouter::run(const double *staticIds) {
  if (config.getScore() == mlir::moe::Score::SparseMixer && !staticIds)
    return runSparseMixer();
  computeScores();
  computeKeys();
  if (staticIds) {
    ids.assign(staticIds, staticIds + config.getTopK());
    eligibleSlots = ids.size();
  } else {
    choose();
  }
  computeWeights();
}

Choices moec::reference::route(const Tensor &logits, const Tensor *bias,
                               const Tensor *staticIds,
                               RouterConfigAttr config) {
  int64_t k = config.getTopK(), experts = logits.columns();
  Choices result{Tensor(Element::F64, {logits.rows(), k}),
                 Tensor(Element::I32, {logits.rows(), k})};
  for (int64_t t = 0; t < logits.rows(); ++t) {
    ArrayRef<double> row(logits.data.data() + t * experts, experts);
    RowRouter router{config, row, bias};
    router.run(staticIds ? staticIds->data.data() + t * k : nullptr);
    for (int64_t s = 0; s < k; ++s) {
      result.weights.at(t, s) = router.weights[s];
      result.ids.at(t, s) = router.ids[s];
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

LogicalResult moec::reference::evaluate(mlir::moe::RouterOp op, Frame &frame) {
  const Tensor &logits = frame.tensor(op.getLogits());
  const Tensor *staticIds = frame.optionalTensor(op.getStaticIds());
  if (staticIds && staticIds->rows() != logits.rows())
    return op.emitOpError("(router_c5) static ids have ")
           << staticIds->rows() << " rows, logits " << logits.rows();
  if (staticIds)
    for (double id : staticIds->data)
      if (id < 0 || id >= logits.columns())
        return op.emitOpError("static id ")
               << int64_t(id) << " lies outside the " << logits.columns()
               << " experts";
  Choices choices = route(logits, frame.optionalTensor(op.getBias()),
                          staticIds, op.getConfig());
  frame.set(op->getResult(0),
            rounded(std::move(choices.weights), Element::F32));
  frame.set(op->getResult(1), std::move(choices.ids));
  return success();
}

LogicalResult moec::reference::evaluate(mlir::moe::RouteOp op, Frame &frame) {
  Tensor logits = rounded(
      multiply(frame.tensor(op.getX()), frame.tensor(op.getGate())),
      Element::F32);
  Choices choices = route(logits, frame.optionalTensor(op.getBias()), nullptr,
                          op.getConfig());
  // Phase `buffers` parts the dispatch off: then there is no plan.
  if (op->getNumResults() == 3)
    frame.set(op->getResult(2), planDropless(choices.ids, op.getExperts()));
  frame.set(op->getResult(0),
            rounded(std::move(choices.weights), Element::F32));
  frame.set(op->getResult(1), std::move(choices.ids));
  return success();
}
