//===- Codegen.h - From the LLVM dialect to an object -----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DRIVER_CODEGEN_H
#define MOE_DRIVER_CODEGEN_H

#include "moe/Driver/TargetMachine.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"

namespace moec {

/// Translates a module in phase `llvm` to LLVM IR for `machine`.
llvm::Expected<std::unique_ptr<llvm::Module>>
translate(mlir::ModuleOp module, llvm::LLVMContext &context,
          llvm::TargetMachine &machine);

/// LLVM's scalar optimisations.
void optimize(llvm::Module &module, llvm::TargetMachine &machine);

/// An object of a translated module: register tiles are optimised and compiled
/// in one thread, everything else in another. The module is consumed.
llvm::Expected<llvm::SmallVector<char, 0>>
emitObjectInParallel(llvm::Module &module, const MachineDescription &machine);

/// Machine code, as an object file or as assembly text.
llvm::Expected<llvm::SmallVector<char, 0>>
emitMachineCode(llvm::Module &module, llvm::TargetMachine &machine,
                llvm::CodeGenFileType type);

/// Where a library's code takes AMX's tiles, loading it asks Linux to let the
/// process use them. Executables have the runtime for that.
void askForTiles(llvm::Module &module);

/// Checks that an object needs nothing but the runtime, OpenMP's entry points
/// and memcpy / memset.
llvm::Error checkUndefinedSymbols(llvm::StringRef object);

} // namespace moec

#endif // MOE_DRIVER_CODEGEN_H
