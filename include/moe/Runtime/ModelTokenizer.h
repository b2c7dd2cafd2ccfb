//===- ModelTokenizer.h - The payload's tokenizer and stops -----*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_MODELTOKENIZER_H
#define MOE_RUNTIME_MODELTOKENIZER_H

#include "moe/Runtime/PayloadReader.h"
#include "moe/Runtime/Tokenizer.h"

#include <set>

namespace moe::runtime {

/// tokenizer.json where the payload has one, else tokenizer.model. Error:
/// neither, or an unsupported one.
Result<std::unique_ptr<Tokenizer>> openTokenizer(const Payload &payload);

/// Ids that end a generation: generation_config.json's eos_token_id, and the
/// tokenizer's EOS where `tokenizer` is given.
Result<std::set<int32_t>> stopTokens(const Payload &payload,
                                     const Tokenizer *tokenizer);

} // namespace moe::runtime

#endif // MOE_RUNTIME_MODELTOKENIZER_H
