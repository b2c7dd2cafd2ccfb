//===- RowRouter.h - The choice of experts for one row ----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ROWROUTER_H
#define MOE_LIB_KERNELS_ROWROUTER_H

#include "Emitter.h"
#include "dialects/MoE/IR/MoEDialect.h"

namespace moec::kernels {

/// Selection for one row of logits.
struct RowRouter {
  Emitter &e;
  mlir::moe::RouterConfigAttr config;
  int64_t experts;
  mlir::Value bias, staticIds;      // may be null
  mlir::Value weights, ids;         // outputs [T,k]
  mlir::Value scores, keys, groups; // scratch: f32 [E], i64 [E padded], f32 [G]

  int64_t padded() const { return llvm::alignTo(experts, e.lanes); }

  // Router.cpp
  /// From a row of logits to a row of weights and ids.
  void emit(mlir::Value logits, mlir::Value logitsRow, mlir::Value row);
  void emitChoices(mlir::Value logits, mlir::Value logitsRow, mlir::Value row);
  void emitWeights(mlir::Value row);
  void emitLp(mlir::Value row);
  void emitSparseMixer(mlir::Value row);
  // RouterKeys.cpp
  void emitScores(mlir::Value logits, mlir::Value row);
  void emitSoftmax(mlir::Value logits, mlir::Value row);
  void emitKeys(mlir::Value logits, mlir::Value row);
  void emitGroupMask(mlir::Value logits, mlir::Value row);
  mlir::Value sortable(mlir::Value ordered, mlir::Value ids);
};

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ROWROUTER_H
