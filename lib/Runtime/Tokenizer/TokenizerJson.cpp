//===- TokenizerJson.cpp - Hugging Face's tokenizer.json ------------------===//
//
// Part of moe-mlir. Equal to the PyPI package `tokenizers`, up to the Unicode
// tables' versions. "truncation" and "padding" are ignored, as transformers
// does when it encodes one text.
//
//===----------------------------------------------------------------------===//

#include "../JsonFields.h"
#include "AddedTokens.h"
#include "BytePairModel.h"
#include "Normalizer.h"
#include "PieceDecoder.h"
#include "PostProcessor.h"
#include "PreTokenizer.h"

#include "moe/Runtime/Tokenizer.h"

namespace moe::runtime {

using nlohmann::json;

namespace {
class JsonTokenizer : public Tokenizer {
public:
  Result<void> read(const json &root);
  std::string pieceBytes(int32_t id) const override;
  LeadingStrip leadingStrip() const override { return decoder.leadingStrip(); }
  std::optional<int32_t> idOf(std::string_view token) const override;

protected:
  Result<std::vector<int32_t>> encodeValid(const std::string &text,
                                           bool addSpecial) const override;

private:
  Result<void> addToken(const json &value, size_t index);
  Result<void> encodeText(std::string_view text, bool atStart,
                          std::vector<int32_t> &ids) const;
  Result<void> encodePiece(Piece piece, std::vector<int32_t> &ids) const;

  Normalizer normalizer;
  PreTokenizer preTokenizer;
  BytePairModel model;
  PostProcessor postProcessor;
  PieceDecoder decoder;
  /// Looked for in the original and in the normalised text.
  AddedTokenMatcher originalTokens, normalizedTokens;
  Vocabulary addedIds;
  std::unordered_map<int32_t, AddedToken> added;
};
} // namespace

Result<void> JsonTokenizer::addToken(const json &value, size_t index) {
  JsonFields fields(value, "added_tokens[" + std::to_string(index) + "]");
  AddedToken token;
  token.content = fields.text("content");
  token.id = int32_t(fields.integer("id", 0, INT32_MAX));
  token.special = fields.boolean("special", false);
  token.normalized = fields.boolean("normalized", !token.special);
  token.singleWord = fields.boolean("single_word", false);
  token.leftStrip = fields.boolean("lstrip", false);
  token.rightStrip = fields.boolean("rstrip", false);
  if (fields.error())
    return std::unexpected(*fields.error());
  if (token.content.empty())
    return {};
  if (std::optional<int32_t> known = model.idOf(token.content))
    token.id = *known;
  addedIds[token.content] = token.id;
  added[token.id] = token;
  if (!token.normalized) {
    originalTokens.add(std::move(token));
    return {};
  }
  Result<std::string> content = normalizer.apply(token.content);
  if (!content)
    return passOn(content);
  token.content = std::move(*content);
  normalizedTokens.add(std::move(token));
  return {};
}

/// Stores a parsed part, or returns its error.
template <typename T>
static Result<void> store(Result<T> part, T &target) {
  if (!part)
    return passOn(part);
  target = std::move(*part);
  return {};
}

Result<void> JsonTokenizer::read(const json &root) {
  JsonFields fields(root, "");
  const json &modelJson = fields.object("model");
  if (fields.error())
    return std::unexpected(*fields.error());
  Result<void> done =
      store(Normalizer::parse(fields.find("normalizer")), normalizer);
  if (done)
    done = store(PreTokenizer::parse(fields.find("pre_tokenizer")),
                 preTokenizer);
  if (done)
    done = store(PostProcessor::parse(fields.find("post_processor")),
                 postProcessor);
  if (done)
    done = store(PieceDecoder::parse(fields.find("decoder")), decoder);
  if (done)
    done = store(BytePairModel::parse(modelJson), model);
  if (!done || !fields.find("added_tokens"))
    return done;
  const json &tokens = fields.array("added_tokens");
  if (fields.error())
    return std::unexpected(*fields.error());
  for (size_t i = 0; done && i < tokens.size(); ++i)
    done = addToken(tokens[i], i);
  return done;
}

Result<void> JsonTokenizer::encodePiece(Piece piece,
                                        std::vector<int32_t> &ids) const {
  Result<std::vector<Piece>> pieces = preTokenizer.apply(std::move(piece));
  if (!pieces)
    return passOn(pieces);
  for (const Piece &part : *pieces)
    model.encode(part.text, ids);
  return {};
}

/// Encodes text between added tokens of the original text.
Result<void> JsonTokenizer::encodeText(std::string_view text, bool atStart,
                                       std::vector<int32_t> &ids) const {
  Result<std::string> normalized = normalizer.apply(std::string(text));
  if (!normalized)
    return passOn(normalized);
  for (const AddedTokenSpan &span : normalizedTokens.cut(*normalized)) {
    if (span.id) {
      ids.push_back(*span.id);
      continue;
    }
    Piece piece{normalized->substr(span.begin, span.end - span.begin),
                atStart && span.begin == 0};
    if (Result<void> done = encodePiece(std::move(piece), ids); !done)
      return done;
  }
  return {};
}

Result<std::vector<int32_t>> JsonTokenizer::encodeValid(const std::string &text,
                                                        bool addSpecial) const {
  std::vector<int32_t> ids;
  for (const AddedTokenSpan &span : originalTokens.cut(text)) {
    if (span.id) {
      ids.push_back(*span.id);
      continue;
    }
    Result<void> done = encodeText(
        std::string_view(text).substr(span.begin, span.end - span.begin),
        span.begin == 0, ids);
    if (!done)
      return passOn(done);
  }
  return addSpecial ? postProcessor.apply(std::move(ids)) : ids;
}

std::string JsonTokenizer::pieceBytes(int32_t id) const {
  if (auto it = added.find(id); it != added.end())
    return it->second.special ? "" : decoder.bytes(it->second.content);
  const std::string *token = model.tokenOf(id);
  return token ? decoder.bytes(*token) : "";
}

std::optional<int32_t> JsonTokenizer::idOf(std::string_view token) const {
  auto it = addedIds.find(token);
  return it == addedIds.end() ? model.idOf(token) : std::optional(it->second);
}

Result<std::unique_ptr<Tokenizer>> parseTokenizerJson(std::string_view text) {
  Result<json> root = parseJsonObject(text);
  if (!root)
    return passOn(root);
  auto tokenizer = std::make_unique<JsonTokenizer>();
  if (Result<void> done = tokenizer->read(*root); !done)
    return passOn(done);
  return tokenizer;
}

} // namespace moe::runtime
