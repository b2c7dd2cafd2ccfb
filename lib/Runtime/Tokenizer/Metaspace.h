//===- Metaspace.h - Spaces as a visible character --------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_METASPACE_H
#define MOE_RUNTIME_TOKENIZER_METASPACE_H

#include "moe/Runtime/Result.h"

#include <string>

namespace moe::runtime {

class JsonFields;

/// SentencePiece's U+2581.
inline constexpr char kMetaspace[] = "\xE2\x96\x81";

/// Settings that tokenizer.json's pre-tokenizer and decoder share.
struct Metaspace {
  enum Prepend { Always, First, Never } prepend = Always;
  std::string replacement = kMetaspace;

  static Result<Metaspace> parse(JsonFields &fields);
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_METASPACE_H
