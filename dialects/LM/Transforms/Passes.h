//===- Passes.h - Passes on the lm dialect ----------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECTS_LM_TRANSFORMS_PASSES_H
#define MOE_DIALECTS_LM_TRANSFORMS_PASSES_H

#include "dialects/LM/IR/LMDialect.h"
#include "mlir/Pass/Pass.h"

namespace mlir::lm {
#define GEN_PASS_DECL
#include "dialects/LM/Transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "dialects/LM/Transforms/Passes.h.inc"
} // namespace mlir::lm

#endif // MOE_DIALECTS_LM_TRANSFORMS_PASSES_H
