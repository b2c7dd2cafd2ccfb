//===- ByteLevel.cpp - GPT-2's printable alphabet of bytes ----------------===//
//
// Part of moe-mlir. bytes_to_unicode in openai/gpt-2, src/encoder.py: printable
// bytes stand for themselves, the others for U+0100 and up, in order.
//
//===----------------------------------------------------------------------===//

#include "ByteLevel.h"

#include "../Utf8.h"

#include <array>

namespace moe::runtime {

namespace {
struct Alphabet {
  std::array<std::string, 256> characters;
  /// Byte of a code point below U+0144, or -1.
  std::array<int, 0x144> bytes;

  Alphabet() {
    bytes.fill(-1);
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      bool printable = (byte >= 0x21 && byte <= 0x7E) ||
                       (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      uint32_t codePoint = printable ? byte : next++;
      appendUtf8(characters[byte], codePoint);
      bytes[codePoint] = int(byte);
    }
  }
};
} // namespace

static const Alphabet &alphabet() {
  static const Alphabet instance;
  return instance;
}

std::string toByteLevel(std::string_view bytes) {
  std::string text;
  for (char c : bytes)
    text += alphabet().characters[static_cast<unsigned char>(c)];
  return text;
}

std::string fromByteLevel(std::string_view token) {
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    Utf8Front front = utf8Front(token.substr(at));
    bool known = front.kind == Utf8Front::Character &&
                 front.codePoint < alphabet().bytes.size() &&
                 alphabet().bytes[front.codePoint] >= 0;
    if (!known)
      return std::string(token);
    bytes += char(alphabet().bytes[front.codePoint]);
    at += size_t(front.bytes);
  }
  return bytes;
}

} // namespace moe::runtime
