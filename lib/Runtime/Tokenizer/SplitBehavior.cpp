//===- SplitBehavior.cpp - What becomes of the delimiters -----------------===//
//
// Part of moe-mlir. NormalizedString::split in Hugging Face's tokenizers.
//
//===----------------------------------------------------------------------===//

#include "SplitBehavior.h"

#include "../JsonFields.h"

#include <algorithm>

namespace moe::runtime {

SplitBehavior parseBehavior(JsonFields &fields) {
  using enum SplitBehavior;
  static constexpr std::pair<const char *, SplitBehavior> names[] = {
      {"Removed", Removed},
      {"Isolated", Isolated},
      {"MergedWithPrevious", MergedWithPrevious},
      {"MergedWithNext", MergedWithNext},
      {"Contiguous", Contiguous}};
  std::string text = fields.text("behavior");
  for (const auto &[name, behavior] : names)
    if (text == name)
      return behavior;
  fields.reject("behavior", "'" + text + "' is not supported");
  return Isolated;
}

/// A match that follows something else than a match joins it.
static std::vector<Span> mergeWithPrevious(const std::vector<Span> &spans) {
  std::vector<Span> result;
  bool afterMatch = false;
  for (const Span &span : spans) {
    if (span.isMatch && !afterMatch && !result.empty())
      result.back().end = span.end;
    else
      result.push_back(span);
    afterMatch = span.isMatch;
  }
  return result;
}

static std::vector<Span> mergeWithNext(const std::vector<Span> &spans) {
  std::vector<Span> result;
  bool beforeMatch = false;
  for (size_t i = spans.size(); i-- > 0;) {
    if (spans[i].isMatch && !beforeMatch && !result.empty())
      result.back().begin = spans[i].begin;
    else
      result.push_back(spans[i]);
    beforeMatch = spans[i].isMatch;
  }
  std::ranges::reverse(result);
  return result;
}

static std::vector<Span> mergeEqual(const std::vector<Span> &spans) {
  std::vector<Span> result;
  for (const Span &span : spans) {
    if (!result.empty() && result.back().isMatch == span.isMatch)
      result.back().end = span.end;
    else
      result.push_back(span);
  }
  return result;
}

std::vector<Span> arrange(const std::vector<Span> &spans,
                          SplitBehavior behavior) {
  switch (behavior) {
  case SplitBehavior::Isolated:
    return spans;
  case SplitBehavior::MergedWithPrevious:
    return mergeWithPrevious(spans);
  case SplitBehavior::MergedWithNext:
    return mergeWithNext(spans);
  case SplitBehavior::Contiguous:
    return mergeEqual(spans);
  case SplitBehavior::Removed:
    break;
  }
  std::vector<Span> kept;
  std::ranges::copy_if(spans, std::back_inserter(kept),
                       [](const Span &span) { return !span.isMatch; });
  return kept;
}

} // namespace moe::runtime
