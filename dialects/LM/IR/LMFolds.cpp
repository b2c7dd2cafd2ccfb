//===- LMFolds.cpp - Folds that keep every bit ----------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/LM/IR/LMDialect.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lm;

using FoldResults = SmallVectorImpl<OpFoldResult>;

/// Folds an op in value form to one of its operands, if nothing would round.
static LogicalResult foldTo(Operation *op, Value operand,
                            FoldResults &results) {
  if (op->getNumResults() != 1 ||
      op->getResult(0).getType() != operand.getType())
    return failure();
  results.push_back(operand);
  return success();
}

/// True for rows of -0. x + (-0) is x for every x, but -0 + (+0) is +0.
static bool isNegativeZero(Attribute attribute) {
  auto rows = dyn_cast_or_null<SplatElementsAttr>(attribute);
  return rows && isa<FloatType>(rows.getElementType()) &&
         rows.getSplatValue<APFloat>().isNegZero();
}

LogicalResult AddOp::fold(FoldAdaptor adaptor, FoldResults &results) {
  if (isNegativeZero(adaptor.getRhs()))
    return foldTo(*this, getLhs(), results);
  if (isNegativeZero(adaptor.getLhs()))
    return foldTo(*this, getRhs(), results);
  return failure();
}

LogicalResult ActivateOp::fold(FoldAdaptor adaptor, FoldResults &results) {
  auto inner = getX().getDefiningOp<ActivateOp>();
  if (inner && getFunction() == Activation::ReLU &&
      inner.getFunction() == Activation::ReLU)
    return foldTo(*this, getX(), results);
  return failure();
}

/// True if `rows` is the number of rows of `x`.
static bool isAllRows(Value x, Value rows, Attribute known) {
  if (auto number = dyn_cast_or_null<IntegerAttr>(known))
    return number.getInt() == cast<ShapedType>(x.getType()).getDimSize(0);
  auto dim = rows.getDefiningOp<tensor::DimOp>();
  return dim && dim.getSource() == x && dim.getConstantIndex() == 0;
}

LogicalResult LastRowsOp::fold(FoldAdaptor adaptor, FoldResults &results) {
  if (isAllRows(getX(), getRows(), adaptor.getRows()))
    return foldTo(*this, getX(), results);
  return failure();
}
