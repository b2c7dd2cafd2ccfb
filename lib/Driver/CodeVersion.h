//===- CodeVersion.h - A model's code for one target ------------*- C++ -*-===//
//
// Part of moe-mlir. An executable holds one version or several, which share
// the weights.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_CODEVERSION_H
#define MOE_LIB_DRIVER_CODEVERSION_H

#include "moe/Driver/Pack.h"
#include "moe/Driver/TargetMachine.h"
#include "moe/Runtime/StepParts.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/Module.h"

namespace moec {

/// What the runtime allocates for a version, in bytes.
struct StepSizes {
  int64_t arenaPerToken = 0, arenaFixed = 0, arenaPerThread = 0;
  int64_t weights = 0;
  /// Of keys (or values), by the element types that a cache may have.
  llvm::SmallVector<int64_t> statePerPosition;

  /// Of a module in a phase after `buffers`.
  static StepSizes of(mlir::ModuleOp module);
};

/// StepSizes::statePerPosition of a module; empty where it has none.
llvm::ArrayRef<int64_t> stateBytesPerPosition(mlir::ModuleOp module);

struct CodeVersion {
  MachineDescription machine;
  moe::ElementType activation = moe::ElementType::F32;
  moe::ElementType attention = moe::ElementType::F32;
  StepSizes sizes;
  moe::runtime::StepParts parts;
  std::vector<WeightPlacement> placements;
  llvm::SmallVector<char, 0> object;
  /// A hash of all that code and payload agree on.
  uint64_t layout = 0;
};

/// The recipes of a model's products (docs/numerics.md), the weights' first:
/// "group-sums, widen-f32-fma", or with --act=f32 "widen-f32-fma (int8 weights,
/// activations f32), widen-f32-fma".
std::string recipesOf(moe::ElementType weights,
                      std::optional<mlir::lm::Format> format,
                      moe::ElementType attention,
                      const kernels::Target &target);

/// Gives every function and variable of a translated module a name that no
/// other version has.
void makeNamesDistinct(llvm::Module &module, const MachineDescription &machine);

/// An error where two versions would read the weights differently.
llvm::Error checkOneLayout(llvm::ArrayRef<CodeVersion> versions);

/// An object with the executable's function table, `moe_code_versions`.
llvm::Expected<llvm::SmallVector<char, 0>>
emitVersionTable(llvm::ArrayRef<CodeVersion> versions);

} // namespace moec

#endif // MOE_LIB_DRIVER_CODEVERSION_H
