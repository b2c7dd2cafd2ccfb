//===- Epilogue.cpp - Regions over f32 scalars ----------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Epilogue.h"
#include "moe/Reference/Tensor.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace moec::reference;

LogicalResult moec::reference::checkEpilogue(Region &region) {
  for (Operation &op : region.front())
    if (!isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
             arith::MaximumFOp, arith::MinimumFOp, arith::NegFOp,
             arith::ConstantOp, arith::CmpFOp, arith::SelectOp, math::ExpOp,
             math::TanhOp, math::AbsFOp, math::SqrtOp, mlir::moe::YieldOp>(op))
      return op.emitOpError("is not an op that the interpreter knows in an "
                            "epilogue");
  return success();
}

/// NaN if either is, and -0 below +0, as arith.maximumf wants.
static double maximum(double a, double b) {
  if (std::isnan(a) || std::isnan(b))
    return a + b;
  return a == b ? (std::signbit(a) ? b : a) : std::max(a, b);
}

static bool compare(arith::CmpFPredicate predicate, double a, double b) {
  bool isUnordered = std::isnan(a) || std::isnan(b);
  switch (predicate) {
  case arith::CmpFPredicate::AlwaysFalse:
    return false;
  case arith::CmpFPredicate::AlwaysTrue:
    return true;
  case arith::CmpFPredicate::ORD:
    return !isUnordered;
  case arith::CmpFPredicate::UNO:
    return isUnordered;
  case arith::CmpFPredicate::OEQ:
    return a == b;
  case arith::CmpFPredicate::OGT:
    return a > b;
  case arith::CmpFPredicate::OGE:
    return a >= b;
  case arith::CmpFPredicate::OLT:
    return a < b;
  case arith::CmpFPredicate::OLE:
    return a <= b;
  case arith::CmpFPredicate::ONE:
    return !isUnordered && a != b;
  case arith::CmpFPredicate::UEQ:
    return isUnordered || a == b;
  case arith::CmpFPredicate::UGT:
    return !(a <= b);
  case arith::CmpFPredicate::UGE:
    return !(a < b);
  case arith::CmpFPredicate::ULT:
    return !(a >= b);
  case arith::CmpFPredicate::ULE:
    return !(a > b);
  case arith::CmpFPredicate::UNE:
    return a != b;
  }
  llvm_unreachable("unknown predicate");
}

/// A constant's number; booleans are 0 and 1.
static double constantOf(arith::ConstantOp op) {
  if (auto number = dyn_cast<FloatAttr>(op.getValue()))
    return number.getValueAsDouble();
  return cast<IntegerAttr>(op.getValue()).getValue().getZExtValue();
}

static double evaluateScalar(Operation &op, ArrayRef<double> x) {
  return llvm::TypeSwitch<Operation *, double>(&op)
      .Case([&](arith::AddFOp) { return x[0] + x[1]; })
      .Case([&](arith::SubFOp) { return x[0] - x[1]; })
      .Case([&](arith::MulFOp) { return x[0] * x[1]; })
      .Case([&](arith::DivFOp) { return x[0] / x[1]; })
      .Case([&](arith::MaximumFOp) { return maximum(x[0], x[1]); })
      .Case([&](arith::MinimumFOp) { return -maximum(-x[0], -x[1]); })
      .Case([&](arith::NegFOp) { return -x[0]; })
      .Case([&](arith::ConstantOp constant) { return constantOf(constant); })
      .Case([&](arith::CmpFOp cmp) {
        return double(compare(cmp.getPredicate(), x[0], x[1]));
      })
      .Case([&](arith::SelectOp) { return x[0] != 0 ? x[1] : x[2]; })
      .Case([&](math::ExpOp) { return std::exp(x[0]); })
      .Case([&](math::TanhOp) { return std::tanh(x[0]); })
      .Case([&](math::AbsFOp) { return std::abs(x[0]); })
      .Case([&](math::SqrtOp) { return std::sqrt(x[0]); })
      .Default([](Operation *) -> double {
        llvm_unreachable("checkEpilogue lets no other op through");
      });
}

double moec::reference::runEpilogue(Region &region,
                                    ArrayRef<double> arguments) {
  llvm::DenseMap<Value, double> values;
  Block &block = region.front();
  for (auto [argument, value] : llvm::zip(block.getArguments(), arguments))
    values[argument] = roundTo(Element::F32, value);
  for (Operation &op : block.without_terminator()) {
    SmallVector<double> operands;
    for (Value operand : op.getOperands())
      operands.push_back(values.at(operand));
    double result = evaluateScalar(op, operands);
    values[op.getResult(0)] = roundTo(Element::F32, result);
  }
  return values.at(block.getTerminator()->getOperand(0));
}
