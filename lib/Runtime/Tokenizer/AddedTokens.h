//===- AddedTokens.h - Tokens that are found before the model runs -*- C++ -*-//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_ADDEDTOKENS_H
#define MOE_RUNTIME_TOKENIZER_ADDEDTOKENS_H

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe::runtime {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false, normalized = false, singleWord = false;
  /// Take the white space to the left, to the right, with it.
  bool leftStrip = false, rightStrip = false;
};

/// A stretch of text, or the added token that was found there.
struct AddedTokenSpan {
  size_t begin, end;
  std::optional<int32_t> id;
};

/// Finds the leftmost, of those the longest, added token.
class AddedTokenMatcher {
public:
  /// An empty content is never found.
  void add(AddedToken token);

  /// Cuts `text`, valid UTF-8, completely; no span is empty.
  std::vector<AddedTokenSpan> cut(std::string_view text) const;

private:
  const AddedToken *matchAt(std::string_view text, size_t at) const;
  /// By first byte, the longest first.
  std::array<std::vector<AddedToken>, 256> byFirstByte;
  bool any = false;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_ADDEDTOKENS_H
