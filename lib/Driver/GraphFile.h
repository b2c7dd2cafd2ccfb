//===- GraphFile.h - Reads a .mlir graph ------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_GRAPHFILE_H
#define MOE_LIB_DRIVER_GRAPHFILE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace moec {

/// A graph, with the names that its text gives to arguments of functions.
struct GraphFile {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  llvm::StringMap<std::vector<std::string>> argumentNames;
};

llvm::Expected<GraphFile> readGraph(mlir::MLIRContext &context,
                                    llvm::StringRef path);

} // namespace moec

#endif // MOE_LIB_DRIVER_GRAPHFILE_H
