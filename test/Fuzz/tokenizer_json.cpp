//===- tokenizer_json.cpp - Fuzz tokenizer.json -------------------------------===//
//
// Part of moe-mlir. A tokenizer that is accepted must take any text and decode
// any id.
//
//===----------------------------------------------------------------------===//

#include "TokenizerExercise.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  moe::fuzz::exercise(moe::runtime::parseTokenizerJson(text));
  return 0;
}
