//===- PieceDecoder.h - tokenizer.json's "decoder" --------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_PIECEDECODER_H
#define MOE_RUNTIME_TOKENIZER_PIECEDECODER_H

#include "moe/Runtime/Tokenizer.h"

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace moe::runtime {

class JsonFields;

/// Turns single tokens into bytes. What a decoder does to the text as a whole
/// is only the removal of a leading string; any other is an error.
class PieceDecoder {
public:
  using Step = std::function<std::string(std::string)>;

  /// Error: an unsupported type, naming the field.
  static Result<PieceDecoder> parse(const nlohmann::json *value);

  std::string bytes(std::string token) const;
  const LeadingStrip &leadingStrip() const { return strip; }

private:
  Result<void> add(const nlohmann::json &value, const std::string &path);
  void addStrip(JsonFields &fields);
  void addReplace(JsonFields &fields);
  std::vector<Step> steps;
  LeadingStrip strip;
  bool fused = false;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_PIECEDECODER_H
