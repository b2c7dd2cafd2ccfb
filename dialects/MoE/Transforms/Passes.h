//===- Passes.h - Passes on the moe dialect ---------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECTS_MOE_TRANSFORMS_PASSES_H
#define MOE_DIALECTS_MOE_TRANSFORMS_PASSES_H

#include "dialects/MoE/IR/MoEDialect.h"
#include "mlir/Pass/Pass.h"

namespace mlir::moe {
#define GEN_PASS_DECL
#include "dialects/MoE/Transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "dialects/MoE/Transforms/Passes.h.inc"
} // namespace mlir::moe

#endif // MOE_DIALECTS_MOE_TRANSFORMS_PASSES_H
