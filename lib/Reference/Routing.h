//===- Routing.h - From logits to choices and plans -------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_REFERENCE_ROUTING_H
#define MOE_LIB_REFERENCE_ROUTING_H

#include "moe/Reference/RuntimeValue.h"

#include "dialects/MoE/IR/MoEDialect.h"

namespace moec::reference {

/// Chosen experts: weights [T,k] and ids [T,k].
struct Choices {
  Tensor weights, ids;
};

/// True if key `a` ranks above `b`: NaN below -inf; -0 equals +0.
bool isGreaterKey(double a, double b);

/// `bias` and `staticIds` may be null. Weights are f64 until rounded.
Choices route(const Tensor &logits, const Tensor *bias,
              const Tensor *staticIds, mlir::moe::RouterConfigAttr config);

/// Every choice of an expert below `experts` gets a row; the others (identity
/// experts) get none.
Plan planDropless(const Tensor &ids, int64_t experts);

} // namespace moec::reference

#endif // MOE_LIB_REFERENCE_ROUTING_H
