//===- FlagCheck.h - Unknown flags and what they meant ----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDS_FLAGCHECK_H
#define MOE_RUNTIME_COMMANDS_FLAGCHECK_H

#include "moe/Runtime/Result.h"

#include <span>
#include <string>
#include <vector>

namespace moe::runtime {

/// A flag under all its names ("-n", "--n-predict").
struct FlagNames {
  std::vector<std::string> names;
  bool takesValue = false;
};

/// The candidate that `word` most likely meant; empty when none is close.
std::string nearest(const std::string &word,
                    const std::vector<std::string> &candidates);

/// Looks at every argument that stands where a flag can stand. Errors: a flag
/// that is not in `flags`, with the nearest one; a stray word; a flag without
/// its value.
Result<void> checkFlags(std::span<const std::string> arguments,
                        std::span<const FlagNames> flags);

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDS_FLAGCHECK_H
