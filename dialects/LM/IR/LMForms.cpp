//===- LMForms.cpp - What ops with two forms have in common ---------------===//
//
// Part of moe-mlir. Labels such as (forms_c1) are those of the dialect's
// documentation in LMDialect.td.
//
//===----------------------------------------------------------------------===//

#include "dialects/LM/IR/ShapeChecks.h"
#include "dialects/LM/IR/WeightFormat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lm;

#include "dialects/LM/IR/LMInterfaces.cpp.inc"

Value mlir::lm::buildRowsOf(OpBuilder &builder, Location loc, Value rows,
                            int64_t factor) {
  Value count = isa<MemRefType>(rows.getType())
                    ? Value(memref::DimOp::create(builder, loc, rows, 0))
                    : Value(tensor::DimOp::create(builder, loc, rows, 0));
  if (factor == 1)
    return count;
  Value times = arith::ConstantIndexOp::create(builder, loc, factor);
  return arith::MulIOp::create(builder, loc, count, times);
}

static MutableOperandRange outsOf(Operation *op) {
  return cast<TwoFormsOpInterface>(op).getOutsRange();
}

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// Checks one operand or result (forms_c1).
static LogicalResult verifyForm(Operation *op, Type type, bool isBuffer) {
  bool isScalar = type.isIntOrIndexOrFloat();
  if (isScalar || isa<BaseMemRefType>(type) == isBuffer)
    return success();
  return op->emitOpError("(forms_c1) ")
         << (isBuffer ? "buffer form (with `outs`) takes memrefs only, got "
                      : "value form takes and returns no memref, got ")
         << type;
}

/// Checks that columns are static and positive (forms_c2).
static LogicalResult verifyColumns(Operation *op, Type type) {
  auto shaped = dyn_cast<ShapedType>(type);
  if (!shaped || !shaped.hasRank() || shaped.getRank() < 2)
    return success();
  for (int64_t dim : shaped.getShape().drop_front())
    if (ShapedType::isDynamic(dim) || dim == 0)
      return op->emitOpError("(forms_c2) columns must be static and positive, "
                             "got ")
             << type;
  return success();
}

LogicalResult mlir::lm::verifyForms(Operation *op) {
  bool isBuffer = !outsOf(op).empty();
  if (isBuffer && op->getNumResults())
    return op->emitOpError(
        "(forms_c1) buffer form (with `outs`) has no results");
  if (!isBuffer && !op->getNumResults())
    return op->emitOpError("(forms_c1) expected results or `outs`");
  SmallVector<Type> types(op->getOperandTypes());
  llvm::append_range(types, op->getResultTypes());
  for (Type type : types)
    if (failed(verifyForm(op, type, isBuffer)) ||
        failed(verifyColumns(op, type)))
      return failure();
  return success();
}

LogicalResult mlir::lm::verifySingleResult(Operation *op) {
  size_t count = op->getNumResults() + outsOf(op).size();
  if (count != 1)
    return op->emitOpError("(forms_c3) expected one result or one memref in "
                           "`outs`, got ")
           << count;
  return success();
}

FailureOr<ArrayRef<int64_t>> mlir::lm::weightOfRank(Operation *op,
                                                    StringRef label,
                                                    Value weight, size_t rank) {
  ArrayRef<int64_t> shape = getWeightShape(weight.getType());
  if (!shape.empty() && shape.size() != rank)
    return op->emitOpError() << "(" << label << ") expected a weight of "
                             << rank << " dimensions, got " << weight.getType();
  return shape;
}

LogicalResult mlir::lm::verifyElements(Operation *op, StringRef label,
                                       StringRef name, Value vector,
                                       int64_t elements) {
  if (!vector)
    return success();
  ArrayRef<int64_t> shape = getWeightShape(vector.getType());
  if (shape.empty() || shape == ArrayRef<int64_t>{elements})
    return success();
  return op->emitOpError() << "(" << label << ") " << name << " must have "
                           << elements << " elements, got " << vector.getType();
}

/// Whether the bytes of a quantised weight are whole blocks of its format.
static LogicalResult verifyBlocks(Operation *op, MemRefType buffer,
                                  Format format) {
  QuantisedLayout layout = QuantisedLayout::of(format);
  if (buffer.hasStaticShape() && buffer.getRank() == 4 &&
      buffer.getDimSize(3) == 64 && layout.isWhole(buffer.getDimSize(2)))
    return success();
  InFlightDiagnostic error = op->emitOpError("(format_c2) a weight of ");
  error << stringifyFormat(format)
        << " must be experts x panels x lines x 64 bytes, lines ";
  if (layout.spansRow())
    error << layout.scaleLines << " more than a multiple of "
          << layout.groupLines;
  else
    error << "a multiple of " << layout.blockLines();
  return error << ", got " << buffer;
}

LogicalResult
mlir::lm::verifyWeightFormat(Operation *op, Value weight,
                             std::optional<Format> format) {
  auto buffer = dyn_cast<MemRefType>(weight.getType());
  bool isBytes = buffer && buffer.getElementType().isInteger(8);
  if (isBytes == (format && isQuantised(*format)) && (isBytes || !format))
    return isBytes ? verifyBlocks(op, buffer, *format) : success();
  return op->emitOpError("(format_c2) a weight that is a memref of i8 needs a "
                         "quantised weight_format, and no other may have one, "
                         "got ")
         << weight.getType();
}

LogicalResult mlir::lm::verifySameShape(Operation *op, StringRef label, Value a,
                                        Value b) {
  if (sameShape(a, b))
    return success();
  return op->emitOpError() << "(" << label << ") shapes " << a.getType()
                           << " and " << b.getType() << " must agree";
}

//===----------------------------------------------------------------------===//
// Effects and shapes
//===----------------------------------------------------------------------===//

void mlir::lm::getTwoFormsEffects(
    Operation *op,
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  auto twoForms = cast<TwoFormsOpInterface>(op);
  MutableOperandRange outs = twoForms.getOutsRange();
  unsigned firstOut =
      outs.empty() ? op->getNumOperands() : outs.begin()->getOperandNumber();
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

Speculation::Speculatability
mlir::lm::getTwoFormsSpeculatability(Operation *op) {
  return isMemoryEffectFree(op) ? Speculation::Speculatable
                                : Speculation::NotSpeculatable;
}

LogicalResult
mlir::lm::reifyTwoFormsShapes(Operation *op, OpBuilder &builder,
                              ReifiedRankedShapedTypeDims &shapes) {
  auto twoForms = cast<TwoFormsOpInterface>(op);
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    SmallVector<OpFoldResult> &shape = shapes.emplace_back();
    auto tensor = dyn_cast<RankedTensorType>(result.getType());
    if (!tensor)
      continue; // A plan has no shape.
    for (int64_t dim : tensor.getShape())
      shape.push_back(builder.getIndexAttr(dim));
    if (tensor.getRank() && tensor.isDynamicDim(0))
      shape[0] = twoForms.buildResultRows(builder, op->getOperands(), i);
  }
  return success();
}
