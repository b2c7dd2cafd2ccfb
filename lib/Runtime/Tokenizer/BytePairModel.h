//===- BytePairModel.h - tokenizer.json's BPE model -------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_BYTEPAIRMODEL_H
#define MOE_RUNTIME_TOKENIZER_BYTEPAIRMODEL_H

#include "moe/Runtime/Result.h"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace moe::runtime {

class JsonFields;

/// Lets a map of strings be searched with string_views.
struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};
using Vocabulary =
    std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>>;

class BytePairModel {
public:
  /// Reads the "model" object. Errors: another type, dropout, a merge of
  /// tokens that are not in the vocabulary.
  static Result<BytePairModel> parse(const nlohmann::json &value);

  /// Appends the tokens of one piece, valid UTF-8.
  void encode(std::string_view piece, std::vector<int32_t> &ids) const;

  std::optional<int32_t> idOf(std::string_view token) const;
  /// Null for an id that is not in the vocabulary.
  const std::string *tokenOf(int32_t id) const;

private:
  struct Merge {
    int32_t rank, id;
  };
  Result<void> readVocabulary(JsonFields &fields);
  Result<void> readMerges(JsonFields &fields);
  Result<void> addMerge(const std::string &left, const std::string &right,
                        int32_t rank);
  std::vector<int32_t> characters(std::string_view piece) const;
  bool appendBytes(std::string_view character, std::vector<int32_t> &ids) const;
  void merge(std::vector<int32_t> &symbols) const;
  const Merge *findMerge(int32_t left, int32_t right) const;

  Vocabulary vocabulary;
  std::unordered_map<int32_t, std::string> tokens;
  std::unordered_map<uint64_t, Merge> merges;
  std::optional<int32_t> unknown;
  std::string continuingPrefix, wordSuffix;
  bool byteFallback = false, fuseUnknown = false, ignoreMerges = false;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_BYTEPAIRMODEL_H
