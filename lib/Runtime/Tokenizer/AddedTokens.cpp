//===- AddedTokens.cpp - Tokens that are found before the model runs ------===//
//
// Part of moe-mlir. AddedVocabulary::find_matches in Hugging Face's
// tokenizers, src/tokenizer/added_vocabulary.rs.
//
//===----------------------------------------------------------------------===//

#include "AddedTokens.h"

#include "../Utf8.h"
#include "CharacterClass.h"

#include <algorithm>

namespace moe::runtime {

void AddedTokenMatcher::add(AddedToken token) {
  if (token.content.empty())
    return;
  any = true;
  auto &list = byFirstByte[static_cast<unsigned char>(token.content[0])];
  auto shorter = [&](const AddedToken &other) {
    return other.content.size() < token.content.size();
  };
  list.insert(std::ranges::find_if(list, shorter), std::move(token));
}

const AddedToken *AddedTokenMatcher::matchAt(std::string_view text,
                                             size_t at) const {
  for (const AddedToken &token :
       byFirstByte[static_cast<unsigned char>(text[at])])
    if (text.substr(at).starts_with(token.content))
      return &token;
  return nullptr;
}

/// The code point that ends at `end`, 0 at the start of the text.
static uint32_t codePointBefore(std::string_view text, size_t end,
                                size_t &begin) {
  begin = end;
  if (end == 0)
    return 0;
  do
    --begin;
  while (begin > 0 && (text[begin] & 0xC0) == 0x80);
  return utf8Front(text.substr(begin)).codePoint;
}

static uint32_t codePointAt(std::string_view text, size_t at) {
  return at < text.size() ? utf8Front(text.substr(at)).codePoint : 0;
}

static bool insideWord(std::string_view text, size_t begin, size_t end) {
  size_t before;
  return isWord(codePointBefore(text, begin, before)) ||
         isWord(codePointAt(text, end));
}

static size_t skipSpacesLeft(std::string_view text, size_t begin,
                             size_t limit) {
  size_t before;
  while (begin > limit && isSpace(codePointBefore(text, begin, before)))
    begin = std::max(before, limit);
  return begin;
}

static size_t skipSpacesRight(std::string_view text, size_t end) {
  while (end < text.size() && isSpace(codePointAt(text, end)))
    end += size_t(utf8Front(text.substr(end)).bytes);
  return end;
}

std::vector<AddedTokenSpan>
AddedTokenMatcher::cut(std::string_view text) const {
  std::vector<AddedTokenSpan> spans;
  size_t done = 0;
  for (size_t at = 0; any && at < text.size();) {
    const AddedToken *token = matchAt(text, at);
    if (!token) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + token->content.size();
    at = end;
    if (token->singleWord && insideWord(text, begin, end))
      continue;
    if (token->leftStrip)
      begin = skipSpacesLeft(text, begin, done);
    if (token->rightStrip)
      end = skipSpacesRight(text, end);
    if (begin > done)
      spans.push_back({done, begin, std::nullopt});
    spans.push_back({begin, end, token->id});
    done = at = end;
  }
  if (done < text.size())
    spans.push_back({done, text.size(), std::nullopt});
  return spans;
}

} // namespace moe::runtime
