//===- ByteLevel.h - GPT-2's printable alphabet of bytes --------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_BYTELEVEL_H
#define MOE_RUNTIME_TOKENIZER_BYTELEVEL_H

#include <string>
#include <string_view>

namespace moe::runtime {

/// GPT-2's pre-tokenizer pattern.
inline constexpr char kByteLevelPattern[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Every byte as its character.
std::string toByteLevel(std::string_view bytes);

/// The bytes of a token; a token with a character outside the alphabet (an
/// added one) stands for itself.
std::string fromByteLevel(std::string_view token);

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_BYTELEVEL_H
