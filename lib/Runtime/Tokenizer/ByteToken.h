//===- ByteToken.h - Tokens like <0x0A> -------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_BYTETOKEN_H
#define MOE_RUNTIME_TOKENIZER_BYTETOKEN_H

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace moe::runtime {

/// "<0x0A>" for 10.
inline std::string byteToken(unsigned char byte) {
  static constexpr char digits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
}

inline std::optional<unsigned char> parseByteToken(std::string_view token) {
  unsigned char byte = 0;
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>')
    return std::nullopt;
  auto [stop, code] =
      std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  if (code != std::errc() || stop != token.data() + 5)
    return std::nullopt;
  return byte;
}

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_BYTETOKEN_H
