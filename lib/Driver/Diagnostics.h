//===- Diagnostics.h - MLIR's diagnostics as one line -----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_DIAGNOSTICS_H
#define MOE_LIB_DRIVER_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Error.h"
#include <string>

namespace moec {

/// An error with a message of one line.
llvm::Error makeError(const llvm::Twine &message);

/// `location` as FILE:LINE:COLUMN, or empty where it names no file.
std::string describeLocation(mlir::Location location);

/// While it lives, the first error of a context is kept and nothing is
/// printed.
class ErrorCollector {
public:
  explicit ErrorCollector(mlir::MLIRContext &context);

  /// The first error, or `otherwise`.
  llvm::Error take(const llvm::Twine &otherwise);

private:
  std::string first;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace moec

#endif // MOE_LIB_DRIVER_DIAGNOSTICS_H
