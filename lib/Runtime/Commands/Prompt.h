//===- Prompt.h - Where the prompt comes from -------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDS_PROMPT_H
#define MOE_RUNTIME_COMMANDS_PROMPT_H

#include "Commands.h"

namespace moe::runtime {

/// -p TEXT, -p - (standard input), -f FILE, or piped standard input. Errors:
/// none of them, both -p and -f, an unreadable file, more than 1 GiB.
Result<std::string> readPrompt(const CommandOptions &options);

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDS_PROMPT_H
