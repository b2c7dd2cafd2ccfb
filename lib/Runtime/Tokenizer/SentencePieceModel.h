//===- SentencePieceModel.h - The content of tokenizer.model ----*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_SENTENCEPIECEMODEL_H
#define MOE_RUNTIME_TOKENIZER_SENTENCEPIECEMODEL_H

#include "BytePairModel.h"
#include "CharsMap.h"

#include <array>

namespace moe::runtime {

/// sentencepiece_model.proto's values.
enum class PieceType { Normal = 1, Unknown, Control, UserDefined, Unused, Byte };

struct SentencePiece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::Normal;
};

/// A piece that was found in a text; `text` points into it.
struct EncodedPiece {
  std::string_view text;
  int32_t id;
};

struct SentencePieceModel {
  enum Algorithm { Unigram = 1, Bpe = 2 } algorithm = Unigram;
  std::vector<SentencePiece> pieces;
  /// Pieces that can occur in a text: normal, user-defined and unused ones.
  Vocabulary textPieces;
  /// Unknown, control and byte pieces.
  Vocabulary reserved;
  std::array<int32_t, 256> bytePieces;
  int32_t unknown = 0;
  int32_t bos = -1, eos = -1;
  bool byteFallback = false, whitespaceAsSuffix = false;
  bool addDummyPrefix = true, removeExtraWhitespaces = true;
  bool escapeWhitespaces = true;
  std::string unknownSurface = " \xE2\x81\x87 ";
  CharsMap charsMap;
  /// Bytes of the longest text piece.
  size_t longestPiece = 0;

  static Result<SentencePieceModel> parse(std::string_view bytes);

  /// As SentencePiece looks a piece up: `unknown` for none.
  int32_t idOf(std::string_view piece) const;
  /// Bytes of the longest user-defined piece at the front of `text`, or 0.
  size_t userDefinedPrefix(std::string_view text) const;
  std::string normalize(std::string_view text) const;

  /// Both append the pieces of a normalised text.
  void encodeBpe(std::string_view text, std::vector<EncodedPiece> &out) const;
  void encodeUnigram(std::string_view text,
                     std::vector<EncodedPiece> &out) const;

private:
  Result<void> readPiece(std::string_view bytes);
  bool readTrainer(std::string_view bytes, uint64_t &type);
  Result<void> readNormalizer(std::string_view bytes);
  Result<void> index();
  std::string_view normalizePrefix(std::string_view text,
                                   size_t &consumed) const;
  bool hasUserDefined = false;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_SENTENCEPIECEMODEL_H
