//===- CharsMap.h - SentencePiece's precompiled normalisation ---*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_CHARSMAP_H
#define MOE_RUNTIME_TOKENIZER_CHARSMAP_H

#include "moe/Runtime/Result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe::runtime {

/// A darts-clone double array from strings to replacements.
class CharsMap {
public:
  CharsMap() = default;

  /// Reads precompiled_charsmap: u32 bytes of the array, the array, the
  /// replacements, each ended by a zero.
  static Result<CharsMap> parse(std::string_view blob);

  struct Match {
    size_t bytes;
    std::string_view replacement;
  };
  /// The longest rule for a prefix of `text`.
  std::optional<Match> longestPrefix(std::string_view text) const;

private:
  std::vector<uint32_t> units;
  std::string replacements;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_CHARSMAP_H
