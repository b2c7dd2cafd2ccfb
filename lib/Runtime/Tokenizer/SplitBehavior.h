//===- SplitBehavior.h - What becomes of the delimiters ---------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_SPLITBEHAVIOR_H
#define MOE_RUNTIME_TOKENIZER_SPLITBEHAVIOR_H

#include "Regex.h"

namespace moe::runtime {

class JsonFields;

enum class SplitBehavior {
  Removed,
  Isolated,
  MergedWithPrevious,
  MergedWithNext,
  Contiguous
};

/// Reads "behavior"; an unknown one is an error of `fields`.
SplitBehavior parseBehavior(JsonFields &fields);

/// The pieces that remain of matches and what lies between them.
std::vector<Span> arrange(const std::vector<Span> &spans,
                          SplitBehavior behavior);

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_SPLITBEHAVIOR_H
