//===- Products.cpp - Products of rows and weights ------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Products.h"
#include "Activation.h"
#include "Evaluate.h"
#include "Quantise.h"

using namespace mlir;
using namespace moec::reference;

Tensor moec::reference::multiply(const Tensor &rows, const Tensor &weight) {
  const Tensor x = rowsFor(rows, weight);
  Tensor result(Element::F64, {x.rows(), weight.rows()});
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t n = 0; n < weight.rows(); ++n) {
      double sum = 0;
      for (int64_t k = 0; k < x.columns(); ++k)
        sum += x.at(t, k) * weight.at(n, k);
      result.at(t, n) = sum;
    }
  return result;
}

Tensor moec::reference::gate(const Tensor &x, lm::Activation function) {
  int64_t width = x.columns() / 2;
  Tensor result(Element::F64, {x.rows(), width});
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t c = 0; c < width; ++c)
      result.at(t, c) = activate(function, x.at(t, c)) * x.at(t, width + c);
  return result;
}

Tensor moec::reference::rounded(Tensor tensor, Element element) {
  tensor.element = element;
  tensor.round();
  return tensor;
}

double moec::reference::clipped(double value,
                                std::optional<llvm::APFloat> clip) {
  if (!clip)
    return value;
  double bound = clip->convertToDouble();
  return value > bound ? bound : value < -bound ? -bound : value;
}

/// The element type of an op's only result.
static Element resultElement(Operation *op) {
  return *getElement(getElementTypeOrSelf(op->getResult(0).getType()));
}

LogicalResult moec::reference::evaluate(lm::LinearOp op, Frame &frame) {
  const Tensor *bias = frame.optionalTensor(op.getBias());
  Tensor result =
      multiply(frame.tensor(op.getX()), frame.tensor(op.getWeight()));
  for (int64_t t = 0; t < result.rows(); ++t)
    for (int64_t n = 0; n < result.columns(); ++n)
      result.at(t, n) = clipped(result.at(t, n) + (bias ? (*bias)[n] : 0),
                                op.getClip());
  frame.set(op->getResult(0), rounded(std::move(result), resultElement(op)));
  return success();
}

LogicalResult moec::reference::evaluate(lm::GatedLinearOp op, Frame &frame) {
  Tensor pair =
      multiply(frame.tensor(op.getX()), frame.tensor(op.getWeight()));
  frame.set(op->getResult(0),
            rounded(gate(pair, op.getFunction()), resultElement(op)));
  return success();
}
