//===- LMDialect.cpp - The lm dialect -------------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/LM/IR/LMDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::lm;

#include "dialects/LM/IR/LMDialect.cpp.inc"
#include "dialects/LM/IR/LMEnums.cpp.inc"
#include "dialects/LM/IR/LMInterfaces.cpp.inc"

void LMDialect::initialize() {
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/LM/IR/LMOps.cpp.inc"
      >();
}

Value mlir::lm::buildRowsOf(OpBuilder &builder, Location loc, Value buffer,
                            int64_t factor) {
  Value rows = memref::DimOp::create(builder, loc, buffer, 0);
  if (factor == 1)
    return rows;
  Value times = arith::ConstantIndexOp::create(builder, loc, factor);
  return arith::MulIOp::create(builder, loc, rows, times);
}

LogicalResult mlir::lm::verifyForms(Operation *op) {
  auto twoForms = cast<TwoFormsOpInterface>(op);
  MutableOperandRange outs = twoForms.getOutsRange();
  if (outs.empty()) {
    for (Value operand : op->getOperands())
      if (isa<BaseMemRefType>(operand.getType()))
        return op->emitOpError("value form takes no memref, but operand has "
                               "type ")
               << operand.getType();
    if (op->getNumResults() == 0)
      return op->emitOpError("has neither results nor `outs`");
    return success();
  }
  if (op->getNumResults() != 0)
    return op->emitOpError("buffer form (with `outs`) has no results");
  for (Value operand : op->getOperands())
    if (isa<TensorType>(operand.getType()))
      return op->emitOpError("buffer form takes no tensor, but operand has "
                             "type ")
             << operand.getType();
  return success();
}

void mlir::lm::getTwoFormsEffects(
    Operation *op,
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  auto twoForms = cast<TwoFormsOpInterface>(op);
  MutableOperandRange outs = twoForms.getOutsRange();
  unsigned firstOut = outs.empty() ? op->getNumOperands()
                                   : outs.begin()->getOperandNumber();
  unsigned endOut = firstOut + outs.size();
  for (OpOperand &operand : op->getOpOperands()) {
    unsigned number = operand.getOperandNumber();
    bool isOut = number >= firstOut && number < endOut;
    bool isHandle = isa<StateType>(operand.get().getType());
    if (!isHandle && !isa<BaseMemRefType>(operand.get().getType()))
      continue;
    if (!isOut)
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
    if (isOut || isHandle || twoForms.writesOperand(number))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
  }
}
