//===- Experts.cpp - Grouped products and their combination ---------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Experts.h"
#include "Epilogue.h"
#include "Evaluate.h"
#include "Products.h"
#include "Quantise.h"

using namespace mlir;
using namespace moec::reference;

Tensor moec::reference::multiplyGrouped(const Tensor &rows,
                                        const Tensor &weight, const Plan &plan,
                                        bool gather, const Tensor *bias,
                                        const Tensor *rowScale) {
  const Tensor x = rowsFor(rows, weight);
  Tensor acc(Element::F64, {int64_t(plan.row.size()), weight.shape[1]});
  for (int64_t e = 0; e < plan.experts; ++e)
    for (int64_t r = plan.offsets[e]; r < plan.offsets[e + 1]; ++r) {
      int64_t source = gather ? plan.tokenOf(r) : r;
      double scale = rowScale ? (*rowScale)[plan.choice[r]] : 1;
      for (int64_t n = 0; n < acc.columns(); ++n) {
        double sum = 0;
        for (int64_t k = 0; k < x.columns(); ++k)
          sum += scale * x.at(source, k) * weight.at(e, n, k);
        acc.at(r, n) = sum + (bias ? bias->at(e, n) : 0);
      }
    }
  return acc;
}

Tensor moec::reference::runExperts(const Tensor &x, const Tensor &gateUp,
                                   const Tensor &down, const Plan &plan,
                                   lm::Activation function) {
  Tensor pair = multiplyGrouped(x, gateUp, plan, /*gather=*/true);
  Tensor hidden = rounded(gate(pair, function), x.element);
  return multiplyGrouped(hidden, down, plan, /*gather=*/false);
}

Tensor moec::reference::combine(const Tensor &y, const Tensor &weights,
                                const Plan &plan) {
  Tensor result(Element::F64, {plan.tokens, y.columns()});
  for (int64_t t = 0; t < plan.tokens; ++t)
    for (int64_t s = 0; s < plan.slots; ++s) {
      int64_t row = plan.row[t * plan.slots + s];
      if (row < 0)
        continue;
      for (int64_t c = 0; c < y.columns(); ++c)
        result.at(t, c) += weights.at(t, s) * y.at(row, c);
    }
  return result;
}

/// What a region makes of acc: of each column, or of a gate and an up column.
static Tensor applyEpilogue(Region &region, const Tensor &acc, bool paired) {
  int64_t width = paired ? acc.columns() / 2 : acc.columns();
  Tensor result(Element::F64, {acc.rows(), width});
  for (int64_t r = 0; r < acc.rows(); ++r)
    for (int64_t n = 0; n < width; ++n) {
      SmallVector<double> arguments{acc.at(r, n)};
      if (paired)
        arguments.push_back(acc.at(r, width + n));
      result.at(r, n) = runEpilogue(region, arguments);
    }
  return result;
}

/// Rows that a plan's ops need: a row too few would be read past the end.
static LogicalResult checkRows(Operation *op, const Tensor &tensor,
                               int64_t rows, StringRef name) {
  if (tensor.rows() == rows)
    return success();
  return op->emitOpError() << name << " has " << tensor.rows()
                           << " rows, the plan needs " << rows;
}

LogicalResult moec::reference::evaluate(mlir::moe::GroupedMatmulOp op,
                                        Frame &frame) {
  const Tensor &x = frame.tensor(op.getX());
  const Plan &plan = frame.plan(op.getPlan().front());
  const Tensor *rowScale = frame.optionalTensor(op.getRowScale());
  int64_t rows = op.getGather() ? plan.tokens : plan.row.size();
  if (failed(checkRows(op, x, rows, "x")) ||
      (rowScale &&
       failed(checkRows(op, *rowScale, plan.tokens, "row_scale"))))
    return failure();
  Tensor result =
      multiplyGrouped(x, frame.tensor(op.getWeight()), plan, op.getGather(),
                      frame.optionalTensor(op.getBias()), rowScale);
  if (op.getFunction()) {
    result = gate(result, *op.getFunction());
  } else if (!op.getEpilogue().empty()) {
    if (failed(checkEpilogue(op.getEpilogue())))
      return failure();
    result = applyEpilogue(op.getEpilogue(), result, op.getPaired());
  } else if (op.getPaired()) {
    return op.emitOpError("(grouped_matmul_c6) `paired` needs an epilogue");
  }
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  frame.set(op->getResult(0), rounded(std::move(result), *getElement(type)));
  return success();
}

LogicalResult moec::reference::evaluate(mlir::moe::ExpertFFNOp op,
                                        Frame &frame) {
  const Tensor &x = frame.tensor(op.getX());
  const Plan &plan = frame.plan(op.getPlan().front());
  if (failed(checkRows(op, x, plan.tokens, "x")))
    return failure();
  Tensor result =
      runExperts(x, frame.tensor(op.getGateUp()), frame.tensor(op.getDown()),
                 plan, op.getFunction());
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  frame.set(op->getResult(0), rounded(std::move(result), *getElement(type)));
  return success();
}

/// Adds what zero-compute experts give: the identity, weighted.
static void addIdentity(const Tensor &identity, const Tensor &ids,
                        const Tensor &weights, int64_t from, Tensor &result) {
  for (int64_t t = 0; t < ids.rows(); ++t)
    for (int64_t s = 0; s < ids.columns(); ++s)
      if (ids.at(t, s) >= from)
        for (int64_t c = 0; c < result.columns(); ++c)
          result.at(t, c) += weights.at(t, s) * identity.at(t, c);
}

LogicalResult moec::reference::evaluate(mlir::moe::CombineOp op,
                                        Frame &frame) {
  const Tensor &y = frame.tensor(op.getY());
  const Tensor &weights = frame.tensor(op.getWeights());
  const Plan &plan = frame.plan(op.getPlan().front());
  const Tensor *residual = frame.optionalTensor(op.getResidual());
  const Tensor *bias = frame.optionalTensor(op.getBias());
  const Tensor *identity = frame.optionalTensor(op.getIdentity());
  if (failed(checkRows(op, y, plan.row.size(), "y")) ||
      failed(checkRows(op, weights, plan.tokens, "weights")) ||
      (residual && failed(checkRows(op, *residual, plan.tokens, "residual"))) ||
      (identity && failed(checkRows(op, *identity, plan.tokens, "identity"))))
    return failure();
  Tensor result = combine(y, weights, plan);
  if (identity)
    addIdentity(*identity, frame.tensor(op.getIds()), weights,
                *op.getIdentityFrom(), result);
  for (int64_t t = 0; t < result.rows(); ++t)
    for (int64_t c = 0; c < result.columns(); ++c)
      result.at(t, c) += (residual ? residual->at(t, c) : 0) +
                         (bias ? (*bias)[c] : 0);
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  frame.set(op->getResult(0), rounded(std::move(result), *getElement(type)));
  return success();
}
