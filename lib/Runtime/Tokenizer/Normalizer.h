//===- Normalizer.h - tokenizer.json's "normalizer" -------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_NORMALIZER_H
#define MOE_RUNTIME_TOKENIZER_NORMALIZER_H

#include "moe/Runtime/Result.h"

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace moe::runtime {

/// Steps that rewrite a text, one after the other; none for a null normalizer.
class Normalizer {
public:
  using Step = std::function<Result<std::string>(std::string)>;

  /// Error: an unsupported type, naming the field.
  static Result<Normalizer> parse(const nlohmann::json *value);

  Result<std::string> apply(std::string text) const;

private:
  Result<void> add(const nlohmann::json &value, const std::string &path);
  std::vector<Step> steps;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_NORMALIZER_H
