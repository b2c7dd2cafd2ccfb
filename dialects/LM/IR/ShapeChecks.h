//===- ShapeChecks.h - What verifiers of both dialects share ----*- C++ -*-===//
//
// Part of moe-mlir. By the time an op's own verifier runs, its operands have
// the ranks that ODS asks for and verifyForms has passed.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECTS_LM_IR_SHAPECHECKS_H
#define MOE_DIALECTS_LM_IR_SHAPECHECKS_H

#include "dialects/LM/IR/LMDialect.h"

namespace mlir::lm {

inline ArrayRef<int64_t> shapeOf(Value value) {
  return cast<ShapedType>(value.getType()).getShape();
}

inline int64_t rowsOf(Value rows) { return shapeOf(rows)[0]; }
inline int64_t columnsOf(Value rows) { return shapeOf(rows)[1]; }

/// The value that holds an op's i-th result, in either form.
template <typename OpTy>
Value resultOf(OpTy op, unsigned i = 0) {
  return op->getNumResults() ? Value(op->getResult(i)) : op.getOuts()[i];
}

/// True if two sizes are known and differ.
inline bool differ(int64_t a, int64_t b) {
  return !ShapedType::isDynamic(a) && !ShapedType::isDynamic(b) && a != b;
}

/// True if two shapes may be the same.
inline bool agree(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  return a.size() == b.size() &&
         llvm::none_of(llvm::zip(a, b), [](auto pair) {
           return differ(std::get<0>(pair), std::get<1>(pair));
         });
}
inline bool sameShape(Value a, Value b) {
  return agree(shapeOf(a), shapeOf(b));
}

/// Checks that an op has one result, or one memref in `outs` (forms_c3).
LogicalResult verifySingleResult(Operation *op);

/// Checks that a weight has `rank` dimensions. The shape is empty if the
/// weight is only a buffer, whose shape says nothing.
FailureOr<ArrayRef<int64_t>> weightOfRank(Operation *op, StringRef label,
                                          Value weight, size_t rank);

/// Checks the number of elements of an optional vector.
LogicalResult verifyElements(Operation *op, StringRef label, StringRef name,
                             Value vector, int64_t elements);

/// Checks that `format` is there exactly where the weight is bytes
/// (format_c2).
LogicalResult verifyWeightFormat(Operation *op, Value weight,
                                 std::optional<Format> format);

LogicalResult verifySameShape(Operation *op, StringRef label, Value a,
                              Value b);

} // namespace mlir::lm

#endif // MOE_DIALECTS_LM_IR_SHAPECHECKS_H
