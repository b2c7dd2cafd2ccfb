//===- PreTokenizer.h - tokenizer.json's "pre_tokenizer" --------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_PRETOKENIZER_H
#define MOE_RUNTIME_TOKENIZER_PRETOKENIZER_H

#include "moe/Runtime/Result.h"

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace moe::runtime {

/// A stretch of text that no token crosses.
struct Piece {
  std::string text;
  /// Whether it begins where the whole input begins.
  bool atStart;
};

/// Steps that split pieces further; none for a null pre-tokenizer.
class PreTokenizer {
public:
  using Step = std::function<Result<std::vector<Piece>>(Piece)>;

  /// Error: an unsupported type or behavior, naming the field.
  static Result<PreTokenizer> parse(const nlohmann::json *value);

  Result<std::vector<Piece>> apply(Piece piece) const;

private:
  Result<void> add(const nlohmann::json &value, const std::string &path);
  std::vector<Step> steps;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_PRETOKENIZER_H
