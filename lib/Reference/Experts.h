//===- Experts.h - Grouped products and their combination -------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_REFERENCE_EXPERTS_H
#define MOE_LIB_REFERENCE_EXPERTS_H

#include "moe/Reference/RuntimeValue.h"

#include "dialects/LM/IR/LMDialect.h"

namespace moec::reference {

/// acc[r,n] = sum_k in[r,k] * weight[e,n,k] + bias[e,n] of every row of the
/// plan, in f64. The rows of turned-away choices, at the end, are 0. `bias`
/// and `rowScale` may be null.
Tensor multiplyGrouped(const Tensor &rows, const Tensor &weight, const Plan &plan,
                       bool gather, const Tensor *bias = nullptr,
                       const Tensor *rowScale = nullptr);

/// Both products of a gated expert; what lies between is rounded to x's
/// element type. f64 until rounded.
Tensor runExperts(const Tensor &x, const Tensor &gateUp, const Tensor &down,
                  const Plan &plan, mlir::lm::Activation function);

/// sum_s weights[t,s] * y[row(t,s)] in ascending slots, in f64.
Tensor combine(const Tensor &y, const Tensor &weights, const Plan &plan);

} // namespace moec::reference

#endif // MOE_LIB_REFERENCE_EXPERTS_H
