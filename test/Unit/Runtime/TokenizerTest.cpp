//===- TokenizerTest.cpp - Tokenizers against the PyPI packages -----------===//
//
// Part of moe-mlir. The goldens come from make_tokenizer_goldens.py.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/Tokenizer.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace moe::runtime {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string readFile(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string fromHex(const std::string &hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += char(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

Result<std::unique_ptr<Tokenizer>> open(const fs::path &stem,
                                        const std::string &kind) {
  std::string bytes = readFile(stem.string() + "." + kind);
  if (kind == "tokenizer.json")
    return parseTokenizerJson(bytes);
  return parseTokenizerModel(bytes, SentencePieceOptions());
}

std::vector<fs::path> goldens() {
  std::vector<fs::path> folders = {MOE_TEST_INPUTS "/Tokenizers"};
  if (const char *extra = std::getenv("MOE_EXTRA_TOKENIZERS"))
    folders.push_back(extra);
  std::vector<fs::path> files;
  for (const fs::path &folder : folders)
    for (const fs::directory_entry &entry : fs::directory_iterator(folder))
      if (entry.path().string().ends_with(".golden.json"))
        files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

class TokenizerGolden : public testing::TestWithParam<fs::path> {
protected:
  void SetUp() override {
    golden = json::parse(readFile(GetParam()));
    fs::path stem = GetParam();
    stem.replace_extension().replace_extension();
    auto opened = open(stem, golden["kind"]);
    ASSERT_TRUE(opened) << opened.error().message;
    tokenizer = std::move(*opened);
  }

  json golden;
  std::unique_ptr<Tokenizer> tokenizer;
};

TEST_P(TokenizerGolden, Encodes) {
  for (const json &item : golden["cases"]) {
    std::string text = fromHex(item["text"]);
    auto plain = tokenizer->encode(text, /*addSpecial=*/false);
    ASSERT_TRUE(plain) << plain.error().message;
    EXPECT_EQ(*plain, item["ids"].get<std::vector<int32_t>>()) << text;
    auto special = tokenizer->encode(text, /*addSpecial=*/true);
    ASSERT_TRUE(special) << special.error().message;
    EXPECT_EQ(*special, item["special"].get<std::vector<int32_t>>()) << text;
  }
}

TEST_P(TokenizerGolden, DecodesInPieces) {
  for (const json &item : golden["cases"]) {
    StreamDecoder decoder(*tokenizer, /*continuation=*/false);
    std::string text;
    for (int32_t id : item["ids"].get<std::vector<int32_t>>()) {
      std::string piece = decoder.append(id);
      // Every piece is whole characters.
      EXPECT_TRUE(json(piece).dump(-1, ' ', false,
                                   json::error_handler_t::ignore) ==
                  json(piece).dump(-1, ' ', false,
                                   json::error_handler_t::replace));
      text += piece;
    }
    text += decoder.finish();
    EXPECT_EQ(text, fromHex(item["decoded"]))
        << item["ids"] << " of " << fromHex(item["text"]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerGolden, testing::ValuesIn(goldens()),
                         [](const auto &info) {
                           std::string name = info.param.filename().string();
                           return name.substr(0, name.find('.'));
                         });

} // namespace
} // namespace moe::runtime
