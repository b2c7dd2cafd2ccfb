//===- TokenizerCheck.h - Whether a model's files can be read ---*- C++ -*-===//
//
// Part of moe-mlir. For the compiler, which is of another C++ standard: no
// Result here.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZERCHECK_H
#define MOE_RUNTIME_TOKENIZERCHECK_H

#include <cstdint>
#include <map>
#include <string>

namespace moe::runtime {

/// What an executable would say of these files (name to content) when it
/// starts, beginning with the file's name; empty if it would take them.
std::string findTokenizerError(const std::map<std::string, std::string> &files,
                               int64_t vocab);

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZERCHECK_H
