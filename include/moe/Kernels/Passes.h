//===- Passes.h - From buffer form to loops over vectors --------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_KERNELS_PASSES_H
#define MOE_KERNELS_PASSES_H

#include "mlir/Pass/Pass.h"

namespace moec::kernels {
#define GEN_PASS_DECL
#include "lib/Kernels/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lib/Kernels/Passes.h.inc"

/// On a loop (scf.forall) that not every call of its function runs: it ends
/// with an explicit barrier, and so is no part of a step by itself
/// (docs/profiling.md).
inline constexpr llvm::StringLiteral kOptionalLoopAttr = "lm.optional";

/// Bytes of scratch that the kernels of a module (in buffer form) need a slot,
/// a multiple of 64.
int64_t getScratchBytes(mlir::ModuleOp module);
} // namespace moec::kernels

#endif // MOE_KERNELS_PASSES_H
