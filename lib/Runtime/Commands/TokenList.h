//===- TokenList.h - The value of --tokens ----------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDS_TOKENLIST_H
#define MOE_RUNTIME_COMMANDS_TOKENLIST_H

#include "moe/Runtime/Result.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace moe::runtime {

/// Parses "1,2,3" (spaces allowed). Errors: no id, no number, an id that is
/// not within [0, vocab); the message names which.
Result<std::vector<int32_t>> parseTokenList(std::string_view text,
                                            int64_t vocab);

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDS_TOKENLIST_H
