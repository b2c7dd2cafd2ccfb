//===- LayerHeader.h - Functions of a graph as C functions ------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_LAYERHEADER_H
#define MOE_LIB_DRIVER_LAYERHEADER_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace moec {

/// One argument or result of a public function, as its graph declared it.
struct LayerArgument {
  std::string name;
  mlir::Type type;
};

/// A public function before it is lowered.
struct LayerSignature {
  std::string name;
  std::vector<LayerArgument> arguments, results;
};
using LayerSignatures = std::vector<LayerSignature>;

/// Notes the public functions of a graph, gives each a C interface, and checks
/// that C can call them.
llvm::Error prepareLayers(mlir::ModuleOp module, LayerSignatures &signatures);

/// The C header of a lowered module.
std::string renderHeader(mlir::ModuleOp module,
                         const LayerSignatures &signatures,
                         llvm::StringRef guard);

} // namespace moec

#endif // MOE_LIB_DRIVER_LAYERHEADER_H
