//===- Regex.h - Pre-tokenizer patterns -------------------------*- C++ -*-===//
//
// Part of moe-mlir. tokenizer.json's patterns are written for Oniguruma; this
// runs them with PCRE2.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_REGEX_H
#define MOE_RUNTIME_TOKENIZER_REGEX_H

#include "moe/Runtime/Result.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;

namespace moe::runtime {

/// A stretch of a text, in bytes, and whether the pattern matched it.
struct Span {
  size_t begin, end;
  bool isMatch;
};

class Regex {
public:
  /// Errors: what PCRE2 does not accept, and nested character classes.
  static Result<Regex> compile(const std::string &pattern);

  /// Cuts valid UTF-8 into matches and what lies between them, in order.
  /// Error: the pattern needs too many steps on this text.
  Result<std::vector<Span>> cut(std::string_view text) const;

private:
  Regex() = default;
  std::shared_ptr<pcre2_real_code_8> code;
};

/// Rewrites the escapes that Oniguruma and PCRE2 define differently.
Result<std::string> toPcre2(const std::string &pattern);

/// The same as Regex::cut for a literal string.
std::vector<Span> cutLiteral(std::string_view text, std::string_view literal);

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_REGEX_H
