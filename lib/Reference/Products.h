//===- Products.h - Products of rows and weights ----------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_REFERENCE_PRODUCTS_H
#define MOE_LIB_REFERENCE_PRODUCTS_H

#include "moe/Reference/Tensor.h"

#include "dialects/LM/IR/LMDialect.h"

namespace moec::reference {

/// sum_k x[t,k] * weight[n,k], K ascending; the result is f64 until rounded.
/// x is what a product with that weight reads of the rows.
Tensor multiply(const Tensor &rows, const Tensor &weight);
/// act(gate) * up over the halves of each row, in f64.
Tensor gate(const Tensor &x, mlir::lm::Activation function);
/// The same numbers, rounded to an element type.
Tensor rounded(Tensor tensor, Element element);
/// Bounds a value to [-clip, clip] if there is a clip. NaN stays NaN.
double clipped(double value, std::optional<llvm::APFloat> clip);

} // namespace moec::reference

#endif // MOE_LIB_REFERENCE_PRODUCTS_H
