//===- PostProcessor.h - tokenizer.json's "post_processor" ------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_POSTPROCESSOR_H
#define MOE_RUNTIME_TOKENIZER_POSTPROCESSOR_H

#include "moe/Runtime/Result.h"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace moe::runtime {

/// The special tokens in front of and behind a sequence.
class PostProcessor {
public:
  /// Error: an unsupported type or template, naming the field.
  static Result<PostProcessor> parse(const nlohmann::json *value);

  std::vector<int32_t> apply(std::vector<int32_t> ids) const;

private:
  Result<void> add(const nlohmann::json &value, const std::string &path);
  Result<void> addTemplate(const nlohmann::json &value,
                           const std::string &path);
  std::vector<int32_t> before, behind;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_POSTPROCESSOR_H
