//===- TokenizerExercise.h - Uses a tokenizer of unknown making -*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_FUZZ_TOKENIZEREXERCISE_H
#define MOE_TEST_FUZZ_TOKENIZEREXERCISE_H

#include "moe/Runtime/Tokenizer.h"

#include <cstdlib>

namespace moe::fuzz {

inline void
exercise(const runtime::Result<std::unique_ptr<runtime::Tokenizer>> &opened) {
  if (!opened) {
    if (opened.error().message.empty())
      std::abort();
    return;
  }
  const runtime::Tokenizer &tokenizer = **opened;
  for (const char *text :
       {"", " ", "Hello, World! it's 12345", "  x\n\n\ty  ", "\xff\xe4\xbd",
        "naïve cafe\xCC\x81 ﬁ 你好 😀👍🏽", "<s>▁a</s><|x|>",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    auto ids = tokenizer.encode(text, /*addSpecial=*/true);
    if (!ids)
      continue;
    runtime::StreamDecoder decoder(tokenizer, /*continuation=*/false);
    for (int32_t id : *ids)
      decoder.append(id);
    decoder.finish();
  }
  for (int32_t id : {-1, 0, 1, 5, 1000, INT32_MAX})
    tokenizer.pieceBytes(id);
  (void)tokenizer.idOf("a");
  (void)tokenizer.eos();
}

} // namespace moe::fuzz

#endif // MOE_TEST_FUZZ_TOKENIZEREXERCISE_H
