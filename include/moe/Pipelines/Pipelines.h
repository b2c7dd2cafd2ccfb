//===- Pipelines.h - The named phases of compilation ------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PIPELINES_PIPELINES_H
#define MOE_PIPELINES_PIPELINES_H

#include "moe/Kernels/Target.h"

#include "mlir/Pass/PassManager.h"
#include <optional>

namespace moec {

/// Phases in order; each ends with IR that can be printed (`--compile-to`).
enum class Phase { Import, MoE, Fused, Buffers, Tiled, Vector, LLVM };

llvm::StringRef getPhaseName(Phase phase);
std::optional<Phase> getPhase(llvm::StringRef name);
llvm::ArrayRef<Phase> getPhases();

/// Adds the passes that lead from the phase before to `phase`.
void addPhase(mlir::OpPassManager &pm, Phase phase);

/// Runs all phases up to and including `last` on a module that carries its
/// target (kernels::Target::setOn).
mlir::LogicalResult runPhases(mlir::ModuleOp module, Phase last,
                              bool verifyEach = true);

/// Registers every pass of the project and one pipeline a phase
/// (`--phase-fused`) for moe-opt.
void registerPassesAndPipelines();

/// Registers the dialects that any phase may contain.
void registerDialects(mlir::DialectRegistry &registry);

} // namespace moec

#endif // MOE_PIPELINES_PIPELINES_H
