//===- LMDialect.cpp - The lm dialect -------------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/LM/IR/WeightFormat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace mlir::lm;

#include "dialects/LM/IR/LMDialect.cpp.inc"
#include "dialects/LM/IR/LMEnums.cpp.inc"

void LMDialect::initialize() {
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/LM/IR/LMOps.cpp.inc"
      >();
}

/// (activations_c1)
LogicalResult LMDialect::verifyOperationAttribute(Operation *op,
                                                  NamedAttribute named) {
  if (named.getName() != kActivationsAttr)
    return success();
  auto format = dyn_cast<FormatAttr>(named.getValue());
  if (isa<ModuleOp>(op) && format &&
      (format.getValue() == Format::Int8 || format.getValue() == Format::F32))
    return success();
  return op->emitOpError("(activations_c1) lm.activations must be "
                         "#lm.format<int8> or #lm.format<f32> of a module, "
                         "got ")
         << named.getValue();
}

/// (format_c1)
LogicalResult LMDialect::verifyRegionResultAttribute(Operation *op, unsigned,
                                                     unsigned number,
                                                     NamedAttribute named) {
  return op->emitOpError("result ")
         << number << " has an attribute that the lm dialect does not know: "
         << named.getName();
}

LogicalResult LMDialect::verifyRegionArgAttribute(Operation *op, unsigned,
                                                  unsigned number,
                                                  NamedAttribute named) {
  if (named.getName() != kFormatAttr)
    return op->emitOpError("argument ")
           << number << " has an attribute that the lm dialect does not know: "
           << named.getName();
  auto function = dyn_cast<FunctionOpInterface>(op);
  auto format = dyn_cast<FormatAttr>(named.getValue());
  auto type = function ? dyn_cast<RankedTensorType>(
                             function.getArgumentTypes()[number])
                       : RankedTensorType();
  if (format && isQuantised(format.getValue()) && type &&
      type.hasStaticShape() && type.getRank() >= 2 && type.getRank() <= 3 &&
      getFloatFormat(type.getElementType())) {
    int64_t columns = type.getShape().back();
    int64_t most = QuantisedLayout::of(format.getValue()).mostColumns();
    if (columns <= most)
      return success();
    return op->emitOpError("(format_c1) lm.format of argument ")
           << number << ": " << stringifyFormat(format.getValue())
           << " has at most " << most << " columns, got " << columns;
  }
  return op->emitOpError("(format_c1) lm.format of argument ")
         << number << " must be a quantised format of a static tensor of 2 or "
         << "3 dimensions of f32, bf16 or f16, got " << named.getValue();
}
