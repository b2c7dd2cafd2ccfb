//===- Utf8.cpp - Walks and repairs UTF-8 ---------------------------------===//
//
// Part of moe-mlir. Well-formed sequences: The Unicode Standard, table 3-7.
//
//===----------------------------------------------------------------------===//

#include "Utf8.h"

namespace moe::runtime {

Utf8Front utf8Front(std::string_view bytes) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  unsigned char lead = byte(0);
  if (lead < 0x80)
    return {Utf8Front::Character, 1, lead};
  if (lead < 0xC2 || lead > 0xF4)
    return {Utf8Front::Invalid, 1, 0};
  // The second byte's range excludes overlong forms, surrogates and what lies
  // beyond U+10FFFF.
  unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  int length = utf8Length(lead);
  uint32_t codePoint = lead & (0x7F >> length);
  for (int i = 1; i < length; ++i) {
    if (size_t(i) == bytes.size())
      return {Utf8Front::Unfinished, i, 0};
    if (byte(i) < low || byte(i) > high)
      return {Utf8Front::Invalid, i, 0};
    codePoint = codePoint << 6 | (byte(i) & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {Utf8Front::Character, length, codePoint};
}

std::string takeWholeCharacters(std::string &bytes, bool atEnd) {
  std::string text;
  size_t at = 0;
  while (at < bytes.size()) {
    std::string_view rest = std::string_view(bytes).substr(at);
    Utf8Front front = utf8Front(rest);
    if (front.kind == Utf8Front::Unfinished && !atEnd)
      break;
    text += front.kind == Utf8Front::Character ? rest.substr(0, front.bytes)
                                               : kReplacementCharacter;
    at += size_t(front.bytes);
  }
  bytes.erase(0, at);
  return text;
}

std::string replaceInvalidUtf8(std::string_view bytes) {
  std::string copy(bytes);
  return takeWholeCharacters(copy, /*atEnd=*/true);
}

void appendUtf8(std::string &text, uint32_t codePoint) {
  auto tail = [&](int shift) {
    text += char(0x80 | (codePoint >> shift & 0x3F));
  };
  if (codePoint < 0x80) {
    text += char(codePoint);
  } else if (codePoint < 0x800) {
    text += char(0xC0 | codePoint >> 6);
    tail(0);
  } else if (codePoint < 0x10000) {
    text += char(0xE0 | codePoint >> 12);
    tail(6);
    tail(0);
  } else {
    text += char(0xF0 | codePoint >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

} // namespace moe::runtime
