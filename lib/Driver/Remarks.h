//===- Remarks.h - Which code was made, and why -----------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_REMARKS_H
#define MOE_LIB_DRIVER_REMARKS_H

#include "moe/Driver/TargetMachine.h"

#include "mlir/IR/BuiltinOps.h"

namespace moec {

/// Says on stderr why this recipe was chosen; `asked` is --target.
void remarkOnMachine(const MachineDescription &machine, llvm::StringRef asked);

/// Says which ops of a module in phase `fused` missed a faster form, and why.
void remarkOnFusion(mlir::ModuleOp module);

/// Lists kernels and register tiles with their sizes, and the arena.
void remarkOnCode(mlir::ModuleOp module, const MachineDescription &machine,
                  llvm::StringRef object);

} // namespace moec

#endif // MOE_LIB_DRIVER_REMARKS_H
