//===- Output.h - Standard output -------------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDS_OUTPUT_H
#define MOE_RUNTIME_COMMANDS_OUTPUT_H

#include "moe/Runtime/Result.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace moe::runtime {

/// Writes to standard output at once. False when its reader is gone (EPIPE):
/// then there is nothing left to do and nothing to complain about.
Result<bool> writeOut(std::string_view text);

/// "1 2 3"
std::string joinIds(std::span<const int32_t> ids);

/// "4.38 GiB", "120 B"
std::string sizeText(int64_t bytes);

/// "6.92 B", "131 M": counts of parameters.
std::string countText(int64_t count);

/// `value` with `digits` digits behind the point.
std::string fixed(double value, int digits);

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDS_OUTPUT_H
