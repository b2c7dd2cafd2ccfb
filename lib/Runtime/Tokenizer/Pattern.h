//===- Pattern.h - {"String": s} or {"Regex": r} ----------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_PATTERN_H
#define MOE_RUNTIME_TOKENIZER_PATTERN_H

#include "Regex.h"

#include <optional>

namespace moe::runtime {

class JsonFields;

/// What the "pattern" field of several tokenizer.json steps holds.
class Pattern {
public:
  /// Reads `fields`' "pattern".
  static Result<Pattern> parse(JsonFields &fields);
  static Result<Pattern> regex(const std::string &pattern);
  static Pattern literal(std::string text);

  Result<std::vector<Span>> cut(std::string_view text) const;
  Result<std::string> replace(std::string_view text,
                              std::string_view content) const;

private:
  std::optional<Regex> expression;
  std::string text;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_PATTERN_H
