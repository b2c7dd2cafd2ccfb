//===- LMDialect.h - The lm dialect -----------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECTS_LM_IR_LMDIALECT_H
#define MOE_DIALECTS_LM_IR_LMDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::lm {
/// Number of rows (dimension 0) of a tensor or memref times `factor`, as an
/// index value.
Value buildRowsOf(OpBuilder &builder, Location loc, Value rows,
                  int64_t factor);
/// Checks that an op is wholly in value form or wholly in buffer form.
LogicalResult verifyForms(Operation *op);
/// Effects of an op that has two forms: none in value form, but for handles
/// (KV caches); reads of operands and writes of `outs` in buffer form.
void getTwoFormsEffects(
    Operation *op,
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects);
/// Ops without effects can be hoisted and sunk.
Speculation::Speculatability getTwoFormsSpeculatability(Operation *op);
/// Shapes of the results of a value form, as values.
LogicalResult reifyTwoFormsShapes(Operation *op, OpBuilder &builder,
                                  ReifiedRankedShapedTypeDims &shapes);
} // namespace mlir::lm

#include "dialects/LM/IR/LMDialect.h.inc"
#include "dialects/LM/IR/LMEnums.h.inc"
#include "dialects/LM/IR/LMInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/LM/IR/LMAttributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/LM/IR/LMTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/LM/IR/LMOps.h.inc"

namespace mlir::lm {
/// The shape of a weight: of a tensor, or the logical shape of a packed one;
/// empty for a buffer, whose shape is no longer known.
ArrayRef<int64_t> getWeightShape(Type type);
/// The memref by which kernels see a packed weight: ExPxLxW for panels (E
/// matrices, P panels, L lines of W elements), NxK or N for row_major.
MemRefType getPackedBufferType(PackedType type);
} // namespace mlir::lm

#endif // MOE_DIALECTS_LM_IR_LMDIALECT_H
