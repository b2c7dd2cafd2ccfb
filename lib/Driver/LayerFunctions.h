//===- LayerFunctions.h - The C functions of a library ----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_LAYERFUNCTIONS_H
#define MOE_LIB_DRIVER_LAYERFUNCTIONS_H

#include "LayerSignature.h"

namespace moec {

/// What the C functions return.
enum LayerStatus : int32_t {
  kLayerDone = 0,
  kLayerBadTokens = 1,
  kLayerBadThreads = 2,
  kLayerNullPointer = 3,
  kLayerMisaligned = 4,
  kLayerNoSuchWeight = 5,
};

/// Bytes to which arena, packed weights and state are aligned.
inline constexpr int64_t kLayerAlignment = 64;

/// In a module in phase `llvm`: gives every public function of `signatures` its
/// C functions and hides all other symbols. Needs addPackingFunction before.
void addLayerFunctions(mlir::ModuleOp module,
                       const LayerSignatures &signatures);

} // namespace moec

#endif // MOE_LIB_DRIVER_LAYERFUNCTIONS_H
