//===- SentencePieceTokenizer.cpp - SentencePiece's tokenizer.model -------===//
//
// Part of moe-mlir. Equal to the PyPI package `sentencepiece`
// (sentencepiece_processor.cc).
//
//===----------------------------------------------------------------------===//

#include "Metaspace.h"
#include "Regex.h"
#include "ByteToken.h"
#include "SentencePieceModel.h"

#include "moe/Runtime/Tokenizer.h"

namespace moe::runtime {

namespace {
class SentencePieceTokenizer : public Tokenizer {
public:
  SentencePieceTokenizer(SentencePieceModel model, SentencePieceOptions options)
      : model(std::move(model)), options(options) {}

  std::string pieceBytes(int32_t id) const override;
  LeadingStrip leadingStrip() const override;
  bool stripsLeading(int32_t id) const override {
    return id != model.unknown;
  }
  std::optional<int32_t> idOf(std::string_view token) const override;
  std::optional<int32_t> eos() const override {
    return model.eos < 0 ? std::nullopt : std::optional(model.eos);
  }

protected:
  Result<std::vector<int32_t>> encodeValid(const std::string &text,
                                           bool addSpecial) const override;

private:
  SentencePieceModel model;
  SentencePieceOptions options;
};
} // namespace

Result<std::vector<int32_t>>
SentencePieceTokenizer::encodeValid(const std::string &text,
                                    bool addSpecial) const {
  std::string normalized = model.normalize(text);
  std::vector<EncodedPiece> pieces;
  if (model.algorithm == SentencePieceModel::Bpe)
    model.encodeBpe(normalized, pieces);
  else
    model.encodeUnigram(normalized, pieces);

  std::vector<int32_t> ids;
  if (addSpecial && options.addBos && model.bos >= 0)
    ids.push_back(model.bos);
  bool afterUnknown = false;
  for (const EncodedPiece &piece : pieces) {
    bool isUnknown = piece.id == model.unknown;
    if (isUnknown && model.byteFallback) {
      for (char byte : piece.text)
        ids.push_back(model.bytePieces[static_cast<unsigned char>(byte)]);
    } else if (!isUnknown || !afterUnknown) {
      // A run of unknown pieces is one.
      ids.push_back(piece.id);
    }
    afterUnknown = isUnknown;
  }
  if (addSpecial && options.addEos && model.eos >= 0)
    ids.push_back(model.eos);
  return ids;
}

std::string SentencePieceTokenizer::pieceBytes(int32_t id) const {
  if (id < 0 || size_t(id) >= model.pieces.size())
    return "";
  const SentencePiece &piece = model.pieces[id];
  switch (piece.type) {
  case PieceType::Control:
    return "";
  case PieceType::Unknown:
    return model.unknownSurface;
  case PieceType::Byte:
    return std::string(1, char(*parseByteToken(piece.text)));
  default:
    break;
  }
  std::string text;
  for (const Span &span : cutLiteral(piece.text, kMetaspace))
    text += span.isMatch ? " "
                         : piece.text.substr(span.begin, span.end - span.begin);
  return text;
}

LeadingStrip SentencePieceTokenizer::leadingStrip() const {
  // Undoes the dummy prefix; where runs of spaces were removed, no text begins
  // with one.
  if (model.removeExtraWhitespaces)
    return {" ", INT64_MAX};
  return {" ", model.addDummyPrefix ? 1 : 0};
}

std::optional<int32_t>
SentencePieceTokenizer::idOf(std::string_view token) const {
  int32_t id = model.idOf(token);
  return model.pieces[id].text == token ? std::optional(id) : std::nullopt;
}

Result<std::unique_ptr<Tokenizer>>
parseTokenizerModel(std::string_view bytes,
                    const SentencePieceOptions &options) {
  Result<SentencePieceModel> model = SentencePieceModel::parse(bytes);
  if (!model)
    return passOn(model);
  return std::make_unique<SentencePieceTokenizer>(std::move(*model), options);
}

} // namespace moe::runtime
