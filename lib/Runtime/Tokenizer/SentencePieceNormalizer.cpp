//===- SentencePieceNormalizer.cpp - Text as SentencePiece sees it --------===//
//
// Part of moe-mlir. Normalizer::Normalize in sentencepiece/src/normalizer.cc.
//
//===----------------------------------------------------------------------===//

#include "../Utf8.h"
#include "Metaspace.h"
#include "SentencePieceModel.h"

namespace moe::runtime {

/// What the front of `text` becomes, and how many of its bytes that is.
std::string_view SentencePieceModel::normalizePrefix(std::string_view text,
                                                     size_t &consumed) const {
  if (size_t size = userDefinedPrefix(text)) {
    consumed = size;
    return text.substr(0, size);
  }
  if (std::optional<CharsMap::Match> rule = charsMap.longestPrefix(text)) {
    consumed = rule->bytes;
    return rule->replacement;
  }
  Utf8Front front = utf8Front(text);
  bool valid = front.kind == Utf8Front::Character;
  // A rule may end within a character; what is left of it counts as bytes.
  consumed = valid ? size_t(front.bytes) : 1;
  return valid ? text.substr(0, consumed) : kReplacementCharacter;
}

std::string SentencePieceModel::normalize(std::string_view text) const {
  const std::string_view space = escapeWhitespaces ? kMetaspace : " ";
  std::string result;
  size_t consumed = 0;
  while (removeExtraWhitespaces && !text.empty() &&
         normalizePrefix(text, consumed) == " ")
    text.remove_prefix(consumed);
  if (text.empty())
    return result;
  if (addDummyPrefix && !whitespaceAsSuffix)
    result += space;
  bool afterSpace = removeExtraWhitespaces;
  while (!text.empty()) {
    std::string_view part = normalizePrefix(text, consumed);
    text.remove_prefix(consumed);
    while (afterSpace && part.starts_with(' '))
      part.remove_prefix(1);
    if (!part.empty()) {
      for (char c : part)
        result += c == ' ' ? space : std::string_view(&c, 1);
      afterSpace = part.ends_with(' ');
    }
    if (!removeExtraWhitespaces)
      afterSpace = false;
  }
  while (removeExtraWhitespaces && result.ends_with(space))
    result.resize(result.size() - space.size());
  if (addDummyPrefix && whitespaceAsSuffix)
    result += space;
  return result;
}

} // namespace moe::runtime
