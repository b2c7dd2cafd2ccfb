//===- BadWeightsTest.cpp - Checkpoints that do not fit their config ------===//
//
// Part of moe-mlir. Each row: a model type, a change of its tensors, and the
// one line that must come out.
//
//===----------------------------------------------------------------------===//

#include "TestCheckpoint.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::test;

namespace {

struct BadWeightsCase {
  const char *name, *modelType;
  void (*change)(TestTensors &);
  const char *expected;
};

const BadWeightsCase cases[] = {
    {"Missing", "olmoe",
     [](TestTensors &t) { t.erase("model.layers.1.self_attn.k_norm.weight"); },
     "tensor \"model.layers.1.self_attn.k_norm.weight\": expected with shape "
     "[4], found nothing"},
    {"MissingEmbedding", "olmoe",
     [](TestTensors &t) { t.erase("model.embed_tokens.weight"); },
     "tensor \"model.embed_tokens.weight\": expected with shape [10, 8]"},
    {"MissingHead", "olmoe", [](TestTensors &t) { t.erase("lm_head.weight"); },
     "tensor \"lm_head.weight\": expected with shape [10, 8], found nothing"},
    {"MissingExpert", "mixtral",
     [](TestTensors &t) {
       t.erase("model.layers.0.block_sparse_moe.experts.2.w3.weight");
     },
     "tensor \"model.layers.0.block_sparse_moe.experts.2.w3.weight\": expected "
     "with shape [6, 8], found nothing"},
    {"MissingBias", "qwen2_moe",
     [](TestTensors &t) { t.erase("model.layers.0.self_attn.q_proj.bias"); },
     "tensor \"model.layers.0.self_attn.q_proj.bias\": expected with shape "
     "[8]"},
    {"WrongShape", "qwen3_moe",
     [](TestTensors &t) { t["model.norm.weight"].shape = {7}; },
     "tensor \"model.norm.weight\": expected shape [8], found [7]"},
    {"Transposed", "qwen3_moe",
     [](TestTensors &t) {
       t["model.layers.0.mlp.experts.0.down_proj.weight"].shape = {4, 8};
     },
     "expected shape [8, 4], found [4, 8]"},
    {"WrongRank", "qwen2_moe",
     [](TestTensors &t) {
       t["model.layers.0.mlp.shared_expert_gate.weight"].shape = {8};
     },
     "expected shape [1, 8], found [8]"},
    {"IntegerWeights", "olmoe",
     [](TestTensors &t) { t["lm_head.weight"].dtype = "I8"; },
     "tensor \"lm_head.weight\": expected F32, F16 or BF16, found I8"},
    {"DoubleWeights", "olmoe",
     [](TestTensors &t) { t["model.norm.weight"].dtype = "F64"; },
     "expected F32, F16 or BF16, found F64"},
    {"ExtraTensor", "olmoe", [](TestTensors &t) { t["model.extra"] = {{1}}; },
     "expected no tensors but those of this olmoe config, found 1 more: "
     "\"model.extra\""},
    {"ExtraBias", "mixtral",
     [](TestTensors &t) { t["model.layers.0.self_attn.q_proj.bias"] = {{8}}; },
     "found 1 more: \"model.layers.0.self_attn.q_proj.bias\""},
    {"ExtraExpert", "olmoe",
     [](TestTensors &t) {
       t["model.layers.0.mlp.experts.3.up_proj.weight"] = {{6, 8}};
     },
     "found 1 more"},
    {"ManyExtraTensors", "olmoe",
     [](TestTensors &t) {
       for (const char *name : {"a", "b", "c", "d", "e"})
         t[name] = {{1}};
     },
     "found 5 more: \"a\", \"b\", \"c\", ..."},
    {"FusedAndSeparate", "olmoe",
     [](TestTensors &t) {
       t["model.layers.0.mlp.experts.gate_up_proj"] = {{3, 12, 8}};
     },
     "found 6 more"},
    {"FusedWrongShape", "olmoe",
     [](TestTensors &t) {
       t["model.layers.0.mlp.experts.gate_up_proj"] = {{3, 8, 12}};
     },
     "tensor \"model.layers.0.mlp.experts.gate_up_proj\": expected shape [3, "
     "12, 8], found [3, 8, 12]"},
};

class BadWeights : public testing::TestWithParam<BadWeightsCase> {};

TEST_P(BadWeights, IsOneLine) {
  const BadWeightsCase &bad = GetParam();
  ModelConfig config = parsed(smallConfig(bad.modelType));
  TestTensors tensors = tensorsOf(config);
  bad.change(tensors);
  TemporaryDirectory directory;
  std::string file =
      directory.write("model.safetensors", safetensorsBytes(tensors));
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(file);
  ASSERT_TRUE(bool(checkpoint)) << llvm::toString(checkpoint.takeError());
  std::string message = messageOf(mapWeights(config, std::move(*checkpoint)));
  EXPECT_NE(message.find(bad.expected), std::string::npos) << message;
  EXPECT_EQ(message.rfind(file + ": ", 0), 0u) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(, BadWeights, testing::ValuesIn(cases),
                         [](const auto &info) { return info.param.name; });

TEST(BadTiedWeights, HeadDiffersFromEmbedding) {
  nlohmann::json object = smallConfig("olmoe");
  object["tie_word_embeddings"] = true;
  ModelConfig config = parsed(object);
  TestTensors tensors = tensorsOf(config);
  tensors["lm_head.weight"] = {{10, 8}, 123456};
  TemporaryDirectory directory;
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(
      directory.write("model.safetensors", safetensorsBytes(tensors)));
  ASSERT_TRUE(bool(checkpoint));
  EXPECT_NE(messageOf(mapWeights(config, std::move(*checkpoint)))
                .find("tensor \"lm_head.weight\": expected a copy of the "
                      "embedding"),
            std::string::npos);
}

} // namespace
