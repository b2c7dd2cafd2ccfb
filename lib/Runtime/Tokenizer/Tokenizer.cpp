//===- Tokenizer.cpp - Text to token ids and back -------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/Tokenizer.h"

#include "../Utf8.h"

namespace moe::runtime {

Tokenizer::~Tokenizer() = default;

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text,
                                               bool addSpecial) const {
  return encodeValid(replaceInvalidUtf8(text), addSpecial);
}

StreamDecoder::StreamDecoder(const Tokenizer &tokenizer, bool continuation)
    : tokenizer(tokenizer),
      strip(continuation ? LeadingStrip() : tokenizer.leadingStrip()) {}

std::string StreamDecoder::append(int32_t id) {
  if (pending.empty() && !tokenizer.stripsLeading(id))
    strip.most = 0;
  pending += tokenizer.pieceBytes(id);
  return take(/*atEnd=*/false);
}

std::string StreamDecoder::finish() { return take(/*atEnd=*/true); }

std::string StreamDecoder::take(bool atEnd) {
  while (strip.most > 0 && !pending.empty()) {
    if (!pending.starts_with(strip.text)) {
      strip.most = 0;
      break;
    }
    pending.erase(0, strip.text.size());
    --strip.most;
  }
  return takeWholeCharacters(pending, atEnd);
}

} // namespace moe::runtime
