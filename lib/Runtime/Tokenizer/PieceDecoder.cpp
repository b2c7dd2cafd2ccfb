//===- PieceDecoder.cpp - tokenizer.json's "decoder" ----------------------===//
//
// Part of moe-mlir. Follows tokenizers/src/decoders of Hugging Face.
//
//===----------------------------------------------------------------------===//

#include "PieceDecoder.h"

#include "../JsonFields.h"
#include "ByteLevel.h"
#include "ByteToken.h"
#include "Metaspace.h"
#include "Pattern.h"

namespace moe::runtime {

using nlohmann::json;

static std::string replaceAll(const std::string &text, const std::string &from,
                              const std::string &to) {
  std::string result;
  for (const Span &span : cutLiteral(text, from))
    result += span.isMatch ? to
                           : text.substr(span.begin, span.end - span.begin);
  return result;
}

static std::string fromByteToken(std::string token) {
  std::optional<unsigned char> byte = parseByteToken(token);
  return byte ? std::string(1, char(*byte)) : token;
}

void PieceDecoder::addStrip(JsonFields &fields) {
  std::string content = fields.text("content");
  int64_t start = fields.integer("start", 0, INT32_MAX);
  int64_t stop = fields.integer("stop", 0, INT32_MAX);
  if (fused && stop == 0 && strip.most == 0) {
    strip = {content, start};
    return;
  }
  if (fused) {
    fields.reject("stop", "is not supported behind Fuse");
    return;
  }
  steps.push_back([=](std::string token) {
    for (int64_t i = 0; i < start && token.starts_with(content); ++i)
      token.erase(0, content.size());
    for (int64_t i = 0; i < stop && token.ends_with(content); ++i)
      token.resize(token.size() - content.size());
    return token;
  });
  if (content.empty())
    fields.reject("content", "expected a character");
}

void PieceDecoder::addReplace(JsonFields &fields) {
  JsonFields pattern(fields.object("pattern"), fields.pathOf("pattern"));
  std::string from = pattern.text("String");
  std::string to = fields.text("content");
  if (pattern.error())
    fields.reject("pattern", "expected a String");
  if (fused)
    fields.reject("type", "Replace is not supported behind Fuse");
  steps.push_back([=](std::string token) {
    return replaceAll(token, from, to);
  });
}

Result<void> PieceDecoder::add(const json &value, const std::string &path) {
  JsonFields fields(value, path);
  std::string type = fields.text("type");
  if (type == "Sequence") {
    const json &children = fields.array("decoders");
    for (size_t i = 0; i < children.size(); ++i)
      if (Result<void> done = add(children[i], fields.pathOf(
                                                   "decoders[" +
                                                   std::to_string(i) + "]"));
          !done)
        return done;
  } else if (type == "ByteLevel") {
    steps.push_back([](std::string token) { return fromByteLevel(token); });
  } else if (type == "ByteFallback") {
    steps.push_back(fromByteToken);
  } else if (type == "Fuse") {
    fused = true;
  } else if (type == "Strip") {
    addStrip(fields);
  } else if (type == "Replace") {
    addReplace(fields);
  } else if (type == "Metaspace") {
    Result<Metaspace> settings = Metaspace::parse(fields);
    if (!settings)
      return passOn(settings);
    steps.push_back([from = settings->replacement](std::string token) {
      return replaceAll(token, from, " ");
    });
    if (settings->prepend != Metaspace::Never)
      strip = {" ", 1};
  } else {
    fields.reject("type", "'" + type + "' is not supported");
  }
  if (fields.error())
    return std::unexpected(*fields.error());
  return {};
}

Result<PieceDecoder> PieceDecoder::parse(const json *value) {
  PieceDecoder decoder;
  if (value) {
    if (Result<void> done = decoder.add(*value, "decoder"); !done)
      return passOn(done);
    return decoder;
  }
  // Without a decoder, tokens are joined with spaces.
  decoder.steps.push_back([](std::string token) { return " " + token; });
  decoder.strip = {" ", 1};
  return decoder;
}

std::string PieceDecoder::bytes(std::string token) const {
  for (const Step &step : steps)
    token = step(std::move(token));
  return token;
}

} // namespace moe::runtime
