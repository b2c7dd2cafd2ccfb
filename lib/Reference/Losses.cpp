//===- Losses.cpp - Auxiliary losses of routers ---------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include <cmath>

using namespace mlir;
using namespace moec::reference;

static void setScalar(Operation *op, double value, Frame &frame) {
  Tensor result = Frame::makeResult(op->getResult(0), 1);
  result[0] = value;
  frame.set(op->getResult(0), std::move(result));
}

/// Ids that select an element of a table must lie inside it.
static LogicalResult checkIds(Operation *op, const Tensor &ids,
                              int64_t experts) {
  for (double id : ids.data)
    if (id < 0 || id >= experts)
      return op->emitOpError("id ")
             << int64_t(id) << " lies outside the " << experts << " experts";
  return success();
}

/// Switch Transformer (Fedus et al. 2021), equations 4 to 6.
LogicalResult moec::reference::evaluate(mlir::moe::LoadBalanceLossOp op,
                                        Frame &frame) {
  const Tensor &probabilities = frame.tensor(op.getProbabilities());
  const Tensor &ids = frame.tensor(op.getIds());
  int64_t tokens = probabilities.rows(), experts = probabilities.columns();
  if (ids.rows() != tokens)
    return op.emitOpError("(load_balance_loss_c1) probabilities have ")
           << tokens << " rows, ids " << ids.rows();
  if (failed(checkIds(op, ids, experts)))
    return failure();
  double sum = 0;
  for (int64_t e = 0; tokens && e < experts; ++e) {
    double chosen = llvm::count(ids.data, double(e)), probability = 0;
    for (int64_t t = 0; t < tokens; ++t)
      probability += probabilities.at(t, e);
    sum += (chosen / tokens) * (probability / tokens);
  }
  setScalar(op, op.getWeight().convertToDouble() * experts * sum, frame);
  return success();
}

/// ST-MoE (Zoph et al. 2022), equation 5.
LogicalResult moec::reference::evaluate(mlir::moe::ZLossOp op, Frame &frame) {
  const Tensor &logits = frame.tensor(op.getLogits());
  double sum = 0;
  for (int64_t t = 0; t < logits.rows(); ++t) {
    double most = -std::numeric_limits<double>::infinity(), total = 0;
    for (int64_t e = 0; e < logits.columns(); ++e)
      most = std::max(most, logits.at(t, e));
    for (int64_t e = 0; e < logits.columns(); ++e)
      total += std::exp(logits.at(t, e) - most);
    double logSumExp = most + std::log(total);
    sum += logSumExp * logSumExp;
  }
  double mean = logits.rows() ? sum / logits.rows() : 0;
  setScalar(op, op.getWeight().convertToDouble() * mean, frame);
  return success();
}

/// Shazeer et al. 2017, section 4; the epsilon is tensor2tensor's.
LogicalResult moec::reference::evaluate(mlir::moe::ImportanceLossOp op,
                                        Frame &frame) {
  const Tensor &weights = frame.tensor(op.getWeights());
  const Tensor &ids = frame.tensor(op.getIds());
  int64_t experts = op.getExperts();
  if (weights.shape != ids.shape)
    return op.emitOpError("(importance_loss_c1) weights are ")
           << weights.getTypeName() << ", ids " << ids.getTypeName();
  if (failed(checkIds(op, ids, experts)))
    return failure();
  std::vector<double> importance(experts, 0.0);
  for (size_t i = 0; i < ids.data.size(); ++i)
    importance[ids[i]] += weights[i];
  double mean = 0, variance = 0;
  for (double value : importance)
    mean += value / experts;
  for (double value : importance)
    variance += (value - mean) * (value - mean) / experts;
  setScalar(op,
            op.getWeight().convertToDouble() * variance / (mean * mean + 1e-10),
            frame);
  return success();
}
