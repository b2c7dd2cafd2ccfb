//===- ModelTokenizer.cpp - The payload's tokenizer and stops -------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/ModelTokenizer.h"

#include "JsonFields.h"
#include "moe/Runtime/Payload.h"

namespace moe::runtime {

using nlohmann::json;

/// A JSON section, or an empty object when the payload has none.
static Result<json> readSection(const Payload &payload, const char *name) {
  if (!payload.has(name))
    return json::object();
  Result<json> value = parseJsonObject(payload.text(name));
  if (!value)
    return failIn(name, value);
  return value;
}

static Result<std::unique_ptr<Tokenizer>>
openSentencePiece(const Payload &payload) {
  Result<json> config = readSection(payload, kTokenizerConfigSection);
  if (!config)
    return passOn(config);
  JsonFields fields(*config, kTokenizerConfigSection);
  SentencePieceOptions options;
  options.addBos = fields.boolean("add_bos_token", options.addBos);
  options.addEos = fields.boolean("add_eos_token", options.addEos);
  if (fields.error())
    return std::unexpected(*fields.error());
  return parseTokenizerModel(payload.text(kTokenizerModelSection), options);
}

Result<std::unique_ptr<Tokenizer>> openTokenizer(const Payload &payload) {
  bool hasJson = payload.has(kTokenizerJsonSection);
  if (!hasJson && !payload.has(kTokenizerModelSection))
    return fail("this model carries no tokenizer; `generate --tokens` and "
                "`logits --tokens` take token ids");
  Result<std::unique_ptr<Tokenizer>> tokenizer =
      hasJson ? parseTokenizerJson(payload.text(kTokenizerJsonSection))
              : openSentencePiece(payload);
  if (!tokenizer)
    return failIn(hasJson ? kTokenizerJsonSection : kTokenizerModelSection,
                  tokenizer);
  return tokenizer;
}

/// `value` is an id, a list of ids, or absent.
static Result<void> addIds(const json *value, int64_t vocab,
                           std::set<int32_t> &ids) {
  if (!value)
    return {};
  json list = value->is_array() ? *value : json::array({*value});
  for (const json &id : list) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 ||
        id.get<int64_t>() >= vocab)
      return fail(kGenerationConfigSection, ": eos_token_id: ", id.dump(),
                  " is no token id; expected 0 to ", vocab - 1);
    ids.insert(id.get<int32_t>());
  }
  return {};
}

Result<std::set<int32_t>> stopTokens(const Payload &payload,
                                     const Tokenizer *tokenizer) {
  std::set<int32_t> ids;
  Result<json> generation = readSection(payload, kGenerationConfigSection);
  if (!generation)
    return passOn(generation);
  JsonFields fields(*generation, kGenerationConfigSection);
  if (Result<void> done = addIds(fields.find("eos_token_id"),
                                 payload.model.vocab, ids); !done)
    return passOn(done);
  if (!tokenizer)
    return ids;

  Result<json> config = readSection(payload, kTokenizerConfigSection);
  if (!config)
    return passOn(config);
  JsonFields configFields(*config, kTokenizerConfigSection);
  // A string, or an object with the string as its content.
  const json *eos = configFields.find("eos_token");
  if (eos && eos->is_object())
    eos = eos->contains("content") ? &(*eos)["content"] : nullptr;
  std::optional<int32_t> id = tokenizer->eos();
  if (eos && eos->is_string())
    id = tokenizer->idOf(eos->get<std::string>());
  if (id)
    ids.insert(*id);
  return ids;
}

} // namespace moe::runtime
