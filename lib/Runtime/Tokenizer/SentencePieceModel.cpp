//===- SentencePieceModel.cpp - The content of tokenizer.model ------------===//
//
// Part of moe-mlir. Field numbers: sentencepiece_model.proto.
//
//===----------------------------------------------------------------------===//

#include "SentencePieceModel.h"

#include "ByteToken.h"
#include "ProtoReader.h"

#include <cmath>

namespace moe::runtime {

Result<void> SentencePieceModel::readPiece(std::string_view bytes) {
  SentencePiece piece;
  uint64_t type = uint64_t(PieceType::Normal);
  ProtoReader reader(bytes);
  while (reader.next()) {
    if (reader.number() == 1)
      piece.text = reader.bytes();
    else if (reader.number() == 2)
      piece.score = reader.number32();
    else if (reader.number() == 3)
      type = reader.integer();
  }
  std::string where = "pieces[" + std::to_string(pieces.size()) + "]";
  if (reader.failed())
    return fail(where, " is malformed");
  if (type < 1 || type > 6)
    return fail(where, ".type is ", type, ", expected 1 to 6");
  if (piece.text.empty())
    return fail(where, ".piece is empty");
  if (!std::isfinite(piece.score))
    return fail(where, ".score is not finite");
  piece.type = PieceType(type);
  pieces.push_back(std::move(piece));
  return {};
}

bool SentencePieceModel::readTrainer(std::string_view bytes, uint64_t &type) {
  ProtoReader reader(bytes);
  while (reader.next()) {
    switch (reader.number()) {
    case 3:
      type = reader.integer();
      break;
    case 24:
      whitespaceAsSuffix = reader.integer() != 0;
      break;
    case 35:
      byteFallback = reader.integer() != 0;
      break;
    case 41:
      bos = int32_t(reader.integer());
      break;
    case 42:
      eos = int32_t(reader.integer());
      break;
    case 44:
      unknownSurface = reader.bytes();
      break;
    default:
      break;
    }
  }
  return !reader.failed();
}

Result<void> SentencePieceModel::readNormalizer(std::string_view bytes) {
  ProtoReader reader(bytes);
  std::string_view map;
  while (reader.next()) {
    if (reader.number() == 2)
      map = reader.bytes();
    else if (reader.number() == 3)
      addDummyPrefix = reader.integer() != 0;
    else if (reader.number() == 4)
      removeExtraWhitespaces = reader.integer() != 0;
    else if (reader.number() == 5)
      escapeWhitespaces = reader.integer() != 0;
  }
  if (reader.failed())
    return fail("normalizer_spec is malformed");
  Result<CharsMap> parsed = CharsMap::parse(map);
  if (!parsed)
    return passOn(parsed);
  charsMap = std::move(*parsed);
  return {};
}

Result<void> SentencePieceModel::index() {
  bool hasUnknown = false;
  bytePieces.fill(-1);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const SentencePiece &piece = pieces[i];
    int32_t id = int32_t(i);
    bool inText = piece.type == PieceType::Normal ||
                  piece.type == PieceType::UserDefined ||
                  piece.type == PieceType::Unused;
    if (!(inText ? textPieces : reserved).emplace(piece.text, id).second)
      return fail("pieces[", i, "]: '", piece.text, "' occurs twice");
    if (inText)
      longestPiece = std::max(longestPiece, piece.text.size());
    hasUserDefined |= piece.type == PieceType::UserDefined;
    if (piece.type == PieceType::Unknown) {
      if (hasUnknown)
        return fail("pieces[", i, "]: a second unknown piece");
      hasUnknown = true;
      unknown = id;
    }
    if (piece.type == PieceType::Byte) {
      std::optional<unsigned char> byte = parseByteToken(piece.text);
      if (!byte)
        return fail("pieces[", i, "]: '", piece.text, "' is no byte piece");
      bytePieces[*byte] = id;
    }
  }
  if (!hasUnknown)
    return fail("no unknown piece");
  for (int byte = 0; byteFallback && byte < 256; ++byte)
    if (bytePieces[byte] < 0)
      return fail("trainer_spec.byte_fallback: piece ",
                  byteToken(static_cast<unsigned char>(byte)), " is missing");
  return {};
}

/// True when the denormalizer_spec has rules, which change decoded text.
static bool hasRules(std::string_view bytes) {
  ProtoReader reader(bytes);
  while (reader.next())
    if (reader.number() == 2 && !reader.bytes().empty())
      return true;
  return false;
}

Result<SentencePieceModel> SentencePieceModel::parse(std::string_view bytes) {
  SentencePieceModel model;
  uint64_t type = Unigram;
  ProtoReader reader(bytes);
  Result<void> done;
  while (done && reader.next()) {
    if (reader.number() == 1)
      done = model.readPiece(reader.bytes());
    else if (reader.number() == 2 && !model.readTrainer(reader.bytes(), type))
      done = fail("trainer_spec is malformed");
    else if (reader.number() == 3)
      done = model.readNormalizer(reader.bytes());
    else if (reader.number() == 5 && hasRules(reader.bytes()))
      done = fail("denormalizer_spec is not supported");
  }
  if (done && reader.failed())
    done = fail("malformed: not a SentencePiece model, or a cut one");
  if (done && type != Unigram && type != Bpe)
    done = fail("trainer_spec.model_type ", type,
                " is not supported, expected unigram (1) or BPE (2)");
  model.algorithm = Algorithm(type);
  if (done)
    done = model.index();
  if (!done)
    return passOn(done);
  // The defaults of trainer_spec, where they are control pieces.
  auto controlId = [&](int32_t id, const char *text) {
    auto it = model.reserved.find(std::string_view(text));
    return it == model.reserved.end() ? id : it->second;
  };
  if (model.bos < 0)
    model.bos = controlId(-1, "<s>");
  if (model.eos < 0)
    model.eos = controlId(-1, "</s>");
  int32_t count = int32_t(model.pieces.size());
  if (model.bos >= count || model.eos >= count)
    return fail("trainer_spec.bos_id or eos_id is behind the last piece");
  return model;
}

int32_t SentencePieceModel::idOf(std::string_view piece) const {
  if (auto it = reserved.find(piece); it != reserved.end())
    return it->second;
  auto it = textPieces.find(piece);
  return it == textPieces.end() ? unknown : it->second;
}

size_t SentencePieceModel::userDefinedPrefix(std::string_view text) const {
  if (!hasUserDefined)
    return 0;
  for (size_t size = std::min(longestPiece, text.size()); size > 0; --size) {
    auto it = textPieces.find(text.substr(0, size));
    if (it != textPieces.end() &&
        pieces[it->second].type == PieceType::UserDefined)
      return size;
  }
  return 0;
}

} // namespace moe::runtime
