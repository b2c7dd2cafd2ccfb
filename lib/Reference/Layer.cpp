//===- Layer.cpp - moe.layer ----------------------------------------------===//
//
// Part of moe-mlir. A layer means the ops that phase `moe` makes of it, their
// rounding points included: logits, routing weights and what experts return
// are f32, the hidden rows of experts have x's element type.
//
//===----------------------------------------------------------------------===//

#include "Activation.h"
#include "Evaluate.h"
#include "Experts.h"
#include "Products.h"
#include "Routing.h"

using namespace mlir;
using namespace moec::reference;

/// The shared expert's output, times its gate if it has one; f64.
static Tensor runShared(mlir::moe::LayerOp op, Frame &frame) {
  const Tensor &x = frame.tensor(op.getX());
  Tensor pair =
      rounded(multiply(x, frame.tensor(op.getSharedGateUp())), Element::F32);
  Tensor hidden = rounded(gate(pair, op.getFunction()), x.element);
  Tensor y = rounded(multiply(hidden, frame.tensor(op.getSharedDown())),
                     Element::F32);
  y.element = Element::F64;
  if (!op.getSharedGate())
    return y;
  Tensor scale =
      rounded(multiply(x, frame.tensor(op.getSharedGate())), Element::F32);
  for (int64_t t = 0; t < y.rows(); ++t)
    for (int64_t c = 0; c < y.columns(); ++c)
      y.at(t, c) *= sigmoid(scale.at(t, 0));
  return y;
}

/// Adds `term` to `sum`.
static void add(const Tensor &term, Tensor &sum) {
  for (size_t i = 0; i < sum.data.size(); ++i)
    sum[i] += term[i];
}

LogicalResult moec::reference::evaluate(mlir::moe::LayerOp op, Frame &frame) {
  const Tensor &x = frame.tensor(op.getX());
  const Tensor *residual = frame.optionalTensor(op.getResidual());
  if (residual && residual->shape != x.shape)
    return op.emitOpError("(layer_c8) the residual is ")
           << residual->getTypeName() << ", x " << x.getTypeName();
  const Tensor &gateWeight = frame.tensor(op.getGate());
  Tensor logits = rounded(multiply(x, gateWeight), Element::F32);
  Choices choices = route(logits, frame.optionalTensor(op.getBias()), nullptr,
                          op.getConfig());
  Tensor weights = rounded(std::move(choices.weights), Element::F32);
  Plan plan = planDropless(choices.ids, gateWeight.rows());
  if (op.getRecord())
    frame.record({int64_t(*op.getRecord()), weights, choices.ids});
  Tensor y = rounded(runExperts(x, frame.tensor(op.getGateUp()),
                                frame.tensor(op.getDown()), plan,
                                op.getFunction()),
                     Element::F32);
  Tensor sum = combine(y, weights, plan);
  if (residual)
    add(*residual, sum);
  if (op.getSharedGateUp()) {
    sum = rounded(std::move(sum), Element::F32);
    add(runShared(op, frame), sum);
  }
  Type type = getElementTypeOrSelf(op.getResult().getType());
  frame.set(op.getResult(), rounded(std::move(sum), *getElement(type)));
  return success();
}
