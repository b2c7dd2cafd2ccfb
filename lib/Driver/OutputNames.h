//===- OutputNames.h - What the outputs are called --------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_OUTPUTNAMES_H
#define MOE_LIB_DRIVER_OUTPUTNAMES_H

#include "moe/Driver/Compile.h"

namespace moec {

/// Names of the outputs of one run.
class OutputNames {
public:
  /// Follows -o, or the input's name where there is none; checks that the
  /// input exists, fits what is to be emitted, and that outputs can be written.
  static llvm::Expected<OutputNames> choose(const CompileOptions &options);

  /// "-" for standard output.
  std::string of(Emit emit) const;
  /// The library's name without directory and suffix.
  std::string stem() const;

private:
  std::vector<Emit> emits;
  std::string base;
  /// Whether `base` was given, and so is the whole name of a sole output.
  bool given = false;
};

} // namespace moec

#endif // MOE_LIB_DRIVER_OUTPUTNAMES_H
