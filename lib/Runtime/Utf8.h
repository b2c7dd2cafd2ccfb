//===- Utf8.h - Walks and repairs UTF-8 -------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_UTF8_H
#define MOE_RUNTIME_UTF8_H

#include <cstdint>
#include <string>
#include <string_view>

namespace moe::runtime {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// What the front of a non-empty byte string is.
struct Utf8Front {
  enum Kind {
    Character,
    /// No character can begin so.
    Invalid,
    /// The beginning of a character that needs more bytes.
    Unfinished
  } kind;
  /// Bytes of the character, or of the longest prefix of one (at least 1):
  /// what one U+FFFD replaces (Unicode, "maximal subpart").
  int bytes;
  uint32_t codePoint;
};

Utf8Front utf8Front(std::string_view bytes);

/// Every maximal subpart of an ill-formed sequence becomes one U+FFFD.
std::string replaceInvalidUtf8(std::string_view bytes);

/// Removes from `bytes` its longest prefix of whole characters and returns it,
/// invalid bytes replaced. With `atEnd`, an unfinished character counts as
/// invalid.
std::string takeWholeCharacters(std::string &bytes, bool atEnd);

/// Appends one code point.
void appendUtf8(std::string &text, uint32_t codePoint);

/// Bytes of the character that starts with `lead`, in valid UTF-8.
inline int utf8Length(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

} // namespace moe::runtime

#endif // MOE_RUNTIME_UTF8_H
