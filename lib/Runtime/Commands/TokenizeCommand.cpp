//===- TokenizeCommand.cpp - model tokenize: text in, ids out -------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Output.h"
#include "Prompt.h"
#include "moe/Runtime/ModelTokenizer.h"

namespace moe::runtime {

Result<int> tokenizeCommand(const CommandContext &context) {
  Result<std::unique_ptr<Tokenizer>> tokenizer =
      openTokenizer(context.payload());
  if (!tokenizer)
    return passOn(tokenizer);
  Result<std::string> text = readPrompt(context.options);
  if (!text)
    return passOn(text);
  Result<std::vector<int32_t>> ids =
      (*tokenizer)->encode(*text, !context.options.noSpecial);
  if (!ids)
    return passOn(ids);
  Result<bool> written = writeOut(joinIds(*ids) + "\n");
  if (!written)
    return passOn(written);
  return 0;
}

} // namespace moe::runtime
