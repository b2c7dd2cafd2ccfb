//===- Regex.cpp - Pre-tokenizer patterns ---------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Regex.h"

#include "../Utf8.h"

#include <pcre2.h>

namespace moe::runtime {

// Members of Oniguruma's \s (Unicode's White_Space); PCRE2's has U+180E too.
static constexpr char kSpaces[] =
    "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"
    "\\x{202f}\\x{205f}\\x{3000}";
// Members of its \w; PCRE2 10.42 leaves out marks and connectors.
static constexpr char kWordCharacters[] = "\\p{L}\\p{M}\\p{Nd}\\p{Pc}";

/// What stands for the escape `\letter`; empty: it stays as it is.
static std::string rewriteEscape(char letter, bool inClass) {
  auto set = [&](const char *members) {
    return inClass ? std::string(members) : "[" + std::string(members) + "]";
  };
  switch (letter) {
  case 's':
    return set(kSpaces);
  case 'w':
    return set(kWordCharacters);
  case 'h': // A hexadecimal digit; horizontal space in PCRE2.
    return set("0-9a-fA-F");
  case 'S':
    return inClass ? "" : "[^" + std::string(kSpaces) + "]";
  case 'W':
    return inClass ? "" : "[^" + std::string(kWordCharacters) + "]";
  default:
    return "";
  }
}

Result<std::string> toPcre2(const std::string &pattern) {
  std::string result;
  bool inClass = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      char letter = pattern[++i];
      std::string rewritten = rewriteEscape(letter, inClass);
      result += rewritten.empty() ? std::string{'\\', letter} : rewritten;
      continue;
    }
    result += c;
    if (!inClass && c == '[') {
      inClass = true;
      // A ] that comes first is a member.
      for (char first : {'^', ']'})
        if (i + 1 < pattern.size() && pattern[i + 1] == first)
          result += pattern[++i];
    } else if (inClass && c == '[' && pattern.compare(i, 2, "[:") != 0) {
      return fail("nested character classes are not supported: ", pattern);
    } else if (inClass && c == '[') {
      size_t end = pattern.find(":]", i);
      if (end == pattern.npos)
        return fail("unterminated character class: ", pattern);
      result += pattern.substr(i + 1, end + 1 - i);
      i = end + 1;
    } else if (inClass && pattern.compare(i, 2, "&&") == 0) {
      return fail("intersections of character classes are not supported: ",
                  pattern);
    } else if (inClass && c == ']') {
      inClass = false;
    }
  }
  return result;
}

Result<Regex> Regex::compile(const std::string &pattern) {
  Result<std::string> translated = toPcre2(pattern);
  if (!translated)
    return passOn(translated);
  int code = 0;
  PCRE2_SIZE at = 0;
  // In Ruby's syntax ^ and $ match at every line.
  pcre2_code *compiled = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated->data()), translated->size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code,
      &at, nullptr);
  if (!compiled) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(code, message, sizeof message);
    return fail("the pattern ", pattern, " is not supported: ",
                reinterpret_cast<const char *>(message));
  }
  // Without JIT (no executable memory) matching is slower, not different.
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
  Regex regex;
  regex.code.reset(compiled, pcre2_code_free);
  return regex;
}

namespace {
struct MatchState {
  pcre2_match_data *data;
  pcre2_match_context *context;
  explicit MatchState(const pcre2_code *code)
      : data(pcre2_match_data_create_from_pattern(code, nullptr)),
        context(pcre2_match_context_create(nullptr)) {
    pcre2_set_match_limit(context, 10'000'000);
    pcre2_set_heap_limit(context, 256 << 10); // KiB
  }
  ~MatchState() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
  MatchState(const MatchState &) = delete;
  MatchState &operator=(const MatchState &) = delete;
};
} // namespace

/// pcre2_match at `from`, again without JIT when the JIT's stack is too small.
static int matchAt(const pcre2_code *code, std::string_view text, size_t from,
                   MatchState &state) {
  auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int found = pcre2_match(code, subject, text.size(), from,
                          PCRE2_NO_UTF_CHECK, state.data, state.context);
  if (found == PCRE2_ERROR_JIT_STACKLIMIT)
    found = pcre2_match(code, subject, text.size(), from,
                        PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, state.data,
                        state.context);
  return found;
}

Result<std::vector<Span>> Regex::cut(std::string_view text) const {
  MatchState state(code.get());
  std::vector<Span> spans;
  size_t done = 0;   // End of what `spans` covers.
  size_t from = 0;   // Where to search.
  bool any = false;  // Whether a match ended at `done`.
  while (from <= text.size()) {
    int found = matchAt(code.get(), text, from, state);
    if (found == PCRE2_ERROR_NOMATCH)
      break;
    if (found < 0)
      return fail("a pre-tokenizer pattern needs too many steps on this text "
                  "(PCRE2 error ", found, ")");
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(state.data);
    size_t begin = range[0], end = range[1];
    // \K in a lookahead can turn the range around.
    if (begin < from || end < begin)
      return fail("a pre-tokenizer pattern moves its match backwards");
    if (begin == end && any && end == done) {
      // An empty match right behind another one does not count.
      if (from >= text.size())
        break;
      from += size_t(utf8Length(static_cast<unsigned char>(text[from])));
      continue;
    }
    if (begin > done)
      spans.push_back({done, begin, false});
    spans.push_back({begin, end, true});
    done = from = end;
    any = true;
  }
  if (done < text.size())
    spans.push_back({done, text.size(), false});
  return spans;
}

std::vector<Span> cutLiteral(std::string_view text, std::string_view literal) {
  std::vector<Span> spans;
  size_t done = 0;
  size_t at = literal.empty() ? text.npos : text.find(literal);
  for (; at != text.npos; at = text.find(literal, done)) {
    if (at > done)
      spans.push_back({done, at, false});
    done = at + literal.size();
    spans.push_back({at, done, true});
  }
  if (done < text.size())
    spans.push_back({done, text.size(), false});
  return spans;
}

} // namespace moe::runtime
