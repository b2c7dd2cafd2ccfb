//===- Probe.h - Writes every op's result to a folder -----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_REFERENCE_PROBE_H
#define MOE_REFERENCE_PROBE_H

#include "moe/Reference/RuntimeValue.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace moec::reference {

/// Writes each tensor that an op returns as NNN.npy, and index.json: for each
/// number the op, its SSA name and location, the function, the path of calls,
/// the shape and the element type.
class Probe {
public:
  /// `directory` is made if it does not exist.
  static llvm::Expected<Probe> create(llvm::StringRef directory,
                                      mlir::ModuleOp module);

  /// An observer for an Interpreter. Errors are kept for `finish`.
  void observe(mlir::Operation *op, llvm::ArrayRef<RuntimeValue> results,
               llvm::StringRef callPath);
  /// Writes the index.
  llvm::Error finish();

private:
  Probe(llvm::StringRef directory, mlir::ModuleOp module);
  std::string nameOf(mlir::Value value);

  std::string directory, firstError;
  llvm::json::Array entries;
  llvm::DenseMap<mlir::Value, std::string> names;
};

} // namespace moec::reference

#endif // MOE_REFERENCE_PROBE_H
