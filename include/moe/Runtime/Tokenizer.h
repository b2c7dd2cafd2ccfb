//===- Tokenizer.h - Text to token ids and back -----------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_H
#define MOE_RUNTIME_TOKENIZER_H

#include "moe/Runtime/Result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe::runtime {

/// What a decoder removes from the front of a text: up to `most` times `text`.
struct LeadingStrip {
  std::string text;
  int64_t most = 0;
};

class Tokenizer {
public:
  virtual ~Tokenizer();

  /// Token ids of `text`. Bytes that are no UTF-8 count as U+FFFD, as Python's
  /// errors="replace" has it. `addSpecial` adds BOS and EOS where the
  /// tokenizer says so. Errors: a pattern that exceeds its matching limits.
  Result<std::vector<int32_t>> encode(std::string_view text,
                                      bool addSpecial) const;

  /// The bytes that a token stands for; none for special and unknown ids.
  virtual std::string pieceBytes(int32_t id) const = 0;
  virtual LeadingStrip leadingStrip() const = 0;
  /// Whether leadingStrip() applies to a text that begins with this token.
  virtual bool stripsLeading(int32_t id) const { return true; }
  virtual std::optional<int32_t> idOf(std::string_view token) const = 0;
  /// EOS as the tokenizer's own file names it.
  virtual std::optional<int32_t> eos() const { return std::nullopt; }

protected:
  /// `text` is valid UTF-8.
  virtual Result<std::vector<int32_t>> encodeValid(const std::string &text,
                                                   bool addSpecial) const = 0;
};

/// Turns ids into text one by one and never splits a character: bytes of an
/// unfinished one wait for the next id. Bytes that can no longer become valid
/// UTF-8 come out as U+FFFD.
class StreamDecoder {
public:
  /// `continuation`: the text goes on behind a prompt, so that a leading space
  /// is part of it.
  StreamDecoder(const Tokenizer &tokenizer, bool continuation);
  std::string append(int32_t id);
  /// What is left at the end.
  std::string finish();

private:
  std::string take(bool atEnd);
  const Tokenizer &tokenizer;
  LeadingStrip strip;
  std::string pending;
};

/// Settings of tokenizer_config.json for tokenizer.model, which has none.
struct SentencePieceOptions {
  bool addBos = true;
  bool addEos = false;
};

/// Reads Hugging Face's tokenizer.json. Errors name the field.
Result<std::unique_ptr<Tokenizer>> parseTokenizerJson(std::string_view json);

/// Reads SentencePiece's tokenizer.model (BPE and unigram).
Result<std::unique_ptr<Tokenizer>>
parseTokenizerModel(std::string_view bytes, const SentencePieceOptions &options);

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_H
