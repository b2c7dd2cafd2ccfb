//===- TokenizerCheck.cpp - Whether a model's files can be read -----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/TokenizerCheck.h"

#include "moe/Runtime/ModelTokenizer.h"
#include "moe/Runtime/Payload.h"

namespace moe::runtime {

std::string findTokenizerError(const std::map<std::string, std::string> &files,
                               int64_t vocab) {
  Payload payload;
  payload.model.vocab = vocab;
  for (const auto &[name, content] : files)
    payload.sections[name].bytes = std::as_bytes(std::span(content));
  std::unique_ptr<Tokenizer> tokenizer;
  if (payload.has(kTokenizerJsonSection) ||
      payload.has(kTokenizerModelSection)) {
    auto opened = openTokenizer(payload);
    if (!opened)
      return opened.error().message +
             " (a model without this file takes token ids)";
    tokenizer = std::move(*opened);
  }
  auto stops = stopTokens(payload, tokenizer.get());
  return stops ? "" : stops.error().message;
}

} // namespace moe::runtime
