//===- FlagValues.h - What the values of flags may be -----------*- C++ -*-===//
//
// Part of moe-mlir. CLI11 puts the flag's name before these messages:
// "--threads: expected a whole number from 1 to 1024, got 'x'".
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDS_FLAGVALUES_H
#define MOE_RUNTIME_COMMANDS_FLAGVALUES_H

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace moe::runtime {

/// A decimal number from `min` to `max`.
CLI::Validator wholeNumber(int64_t min, int64_t max);

/// A number from `min` to `max`, no NaN.
CLI::Validator number(int64_t min, int64_t max);

/// One of the names, of which there are two or more.
CLI::Validator oneOf(std::vector<std::string> names);

/// The name of a file to write; "-" is none.
CLI::Validator outputFile();

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDS_FLAGVALUES_H
