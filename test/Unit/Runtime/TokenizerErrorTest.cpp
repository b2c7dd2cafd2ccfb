//===- TokenizerErrorTest.cpp - What tokenizers refuse --------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "lib/Runtime/Tokenizer/Regex.h"
#include "moe/Runtime/Tokenizer.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace moe::runtime {
namespace {

using nlohmann::json;

json minimal() {
  return json::parse(R"({"model": {"type": "BPE",
    "vocab": {"a": 0, "b": 1, "ab": 2, "<unk>": 3}, "merges": ["a b"]}})");
}

std::string errorWith(const char *pointer, const char *value) {
  json root = minimal();
  root[json::json_pointer(pointer)] = json::parse(value);
  auto tokenizer = parseTokenizerJson(root.dump());
  return tokenizer ? "accepted" : tokenizer.error().message;
}

TEST(TokenizerJson, ReadsAMinimalFile) {
  auto tokenizer = parseTokenizerJson(minimal().dump());
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->encode("abxb", true).value(),
            (std::vector<int32_t>{2, 1}));
}

TEST(TokenizerJson, NamesTheField) {
  struct {
    const char *pointer, *value, *message;
  } cases[] = {
      {"/model/type", R"("WordPiece")", "model.type: 'WordPiece'"},
      {"/model/dropout", "0.1", "model.dropout: is not supported"},
      {"/model/vocab", R"({"a": -1})", "model.vocab: the id of 'a' is -1"},
      {"/model/merges", R"(["a c"])", "model.merges[0]: 'a' + 'c'"},
      {"/model/merges", R"(["a b c"])", "model.merges[0]: expected two"},
      {"/model/merges", R"([["a"]])", "model.merges[0]: expected two"},
      {"/model/unk_token", R"("x")", "model.unk_token: 'x'"},
      {"/normalizer", R"({"type": "Nmt"})", "normalizer.type: 'Nmt'"},
      {"/normalizer",
       R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {}]})",
       "normalizer.normalizers[1].type: missing"},
      {"/pre_tokenizer", R"({"type": "UnicodeScripts"})",
       "pre_tokenizer.type: 'UnicodeScripts'"},
      {"/pre_tokenizer",
       R"({"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern: the pattern ("},
      {"/pre_tokenizer",
       R"({"type": "Split", "pattern": {"Regex": "[a&&b]"},
           "behavior": "Isolated"})",
       "intersections"},
      {"/pre_tokenizer",
       R"({"type": "Split", "pattern": {"String": "x"}, "behavior": "Odd"})",
       "pre_tokenizer.behavior: 'Odd'"},
      {"/decoder", R"({"type": "CTC"})", "decoder.type: 'CTC'"},
      {"/post_processor", R"({"type": "Odd"})", "post_processor.type: 'Odd'"},
      {"/post_processor",
       R"({"type": "TemplateProcessing", "special_tokens": {},
           "single": [{"SpecialToken": {"id": "<s>"}},
                      {"Sequence": {"id": "A"}}]})",
       "post_processor.special_tokens: no ids for '<s>'"},
      {"/added_tokens", R"([{"id": "x", "content": "y"}])",
       "added_tokens[0].id: expected an integer"},
  };
  for (const auto &bad : cases) {
    std::string error = errorWith(bad.pointer, bad.value);
    EXPECT_NE(error.find(bad.message), std::string::npos)
        << bad.pointer << ": " << error;
  }
}

TEST(TokenizerModel, RefusesWhatIsNoModel) {
  SentencePieceOptions options;
  EXPECT_FALSE(parseTokenizerModel("", options));
  EXPECT_FALSE(parseTokenizerModel("{}", options));
  EXPECT_FALSE(parseTokenizerModel(std::string(100, '\xff'), options));
}

TEST(Regex, LongRunsNeedNoStack) {
  Result<Regex> regex = Regex::compile(R"(\s+(?!\S)|\s+|(?:a|b)+)");
  ASSERT_TRUE(regex);
  for (const std::string &text :
       {std::string(1 << 20, ' '), std::string(1 << 16, 'a')}) {
    Result<std::vector<Span>> spans = regex->cut(text);
    ASSERT_TRUE(spans) << spans.error().message;
    EXPECT_EQ(spans->back().end, text.size());
  }
}

TEST(Regex, ExplosionIsAnError) {
  Result<Regex> regex = Regex::compile("(a+)+$");
  ASSERT_TRUE(regex);
  EXPECT_FALSE(regex->cut(std::string(64, 'a') + "b"));
}

TEST(Regex, TranslatesOniguruma) {
  EXPECT_NE(toPcre2(R"([^\s\d]\h\\s)").value().find(R"(\d][0-9a-fA-F]\\s)"),
            std::string::npos);
  EXPECT_EQ(toPcre2(R"([]a\]][[:alpha:]b]x)").value(), R"([]a\]][[:alpha:]b]x)");
  EXPECT_FALSE(toPcre2("[a[b]]"));
}

} // namespace
} // namespace moe::runtime
