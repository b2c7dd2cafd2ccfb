//===- ModelConfigTest.cpp - What configs mean ----------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "TestCheckpoint.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::test;
using nlohmann::json;

namespace {

ModelConfig golden(const std::string &name) {
  llvm::Expected<ModelConfig> config = readModelConfig(goldenPath(name));
  if (config)
    return std::move(*config);
  ADD_FAILURE() << llvm::toString(config.takeError());
  return {};
}

ModelConfig patched(const char *modelType, const char *patch) {
  json config = smallConfig(modelType);
  config.merge_patch(json::parse(patch));
  return parsed(config);
}

std::vector<int64_t> windows(const ModelConfig &config) {
  std::vector<int64_t> result;
  for (const LayerConfig &layer : config.layers)
    result.push_back(layer.slidingWindow);
  return result;
}

TEST(ModelConfig, Mixtral) {
  ModelConfig config = golden("mixtral");
  EXPECT_EQ(config.architecture, Architecture::Mixtral);
  EXPECT_EQ(config.vocab, 128);
  EXPECT_EQ(config.hidden, 64);
  EXPECT_EQ(config.heads, 4);
  EXPECT_EQ(config.kvHeads, 2);
  EXPECT_EQ(config.headDim, 16);
  EXPECT_EQ(config.maxPositions, 256);
  EXPECT_EQ(config.rmsEps, 1e-5);
  EXPECT_EQ(config.qkNorm, QKNorm::None);
  EXPECT_FALSE(config.qBias || config.oBias || config.tieEmbeddings);
  EXPECT_EQ(config.weightType, ElementType::F32);
  ASSERT_EQ(config.layers.size(), 2u);
  EXPECT_EQ(config.layers[0], config.layers[1]);
  EXPECT_TRUE(config.layers[0].sparse);
  EXPECT_EQ(config.layers[0].experts, 8);
  EXPECT_EQ(config.layers[0].topK, 2);
  EXPECT_EQ(config.layers[0].expertIntermediate, 32);
  EXPECT_EQ(config.layers[0].sharedIntermediate, 0);
  EXPECT_TRUE(config.layers[0].router.normTopkProb);
}

TEST(ModelConfig, Olmoe) {
  ModelConfig config = golden("olmoe");
  EXPECT_EQ(config.qkNorm, QKNorm::FullWidth);
  EXPECT_EQ(config.clipQKV, 2.0);
  EXPECT_EQ(config.kvHeads, 4);
  EXPECT_FALSE(config.layers[0].router.normTopkProb);
  EXPECT_TRUE(golden("olmoe-norm-topk").layers[0].router.normTopkProb);
}

TEST(ModelConfig, Qwen2Moe) {
  ModelConfig config = golden("qwen2_moe");
  EXPECT_TRUE(config.qBias && config.kBias && config.vBias);
  EXPECT_FALSE(config.oBias);
  ASSERT_EQ(config.layers.size(), 3u);
  EXPECT_EQ(config.layers[0].sharedIntermediate, 40);
  EXPECT_TRUE(config.layers[0].sharedGated);
  EXPECT_FALSE(config.layers[1].sparse);
  EXPECT_EQ(config.layers[1].denseIntermediate, 48);
  EXPECT_EQ(config.layers[1].experts, 0);
  EXPECT_TRUE(config.layers[2].sparse);
  EXPECT_EQ(config.layers[2].denseIntermediate, 0);
}

TEST(ModelConfig, Qwen3Moe) {
  ModelConfig config = golden("qwen3_moe");
  EXPECT_EQ(config.qkNorm, QKNorm::PerHead);
  EXPECT_EQ(config.rmsEps, 1e-6);
  EXPECT_FALSE(config.qBias);
  ModelConfig biased = golden("qwen3_moe-bias");
  EXPECT_TRUE(biased.qBias && biased.kBias && biased.vBias && biased.oBias);
  EXPECT_TRUE(golden("qwen3_moe-tied").tieEmbeddings);
}

TEST(ModelConfig, GoldensLeaveNoFieldUnread) {
  for (const char *name : {"mixtral", "olmoe", "qwen2_moe", "qwen3_moe",
                           "qwen3_moe-yarn", "qwen3_moe-llama3"})
    EXPECT_EQ(golden(name).unreadFields, std::vector<std::string>()) << name;
}

TEST(ModelConfig, ReportsUnreadFields) {
  ModelConfig config = patched(
      "olmoe", R"({"fancy":1,"rope_scaling":{"type":"default","factor":2}})");
  EXPECT_EQ(config.unreadFields,
            (std::vector<std::string>{"rope_scaling.factor", "fancy"}));
}

TEST(ModelConfig, OddSizesAreLegal) {
  ModelConfig config = golden("olmoe-odd");
  EXPECT_EQ(config.hidden, 72);
  EXPECT_EQ(config.headDim, 18);
  EXPECT_EQ(config.layers[0].experts, 5);
  EXPECT_EQ(config.layers[0].topK, 3);
  EXPECT_EQ(config.layers[0].expertIntermediate, 20);
  EXPECT_EQ(config.invFreq.size(), 9u);
}

TEST(ModelConfig, WeightTypes) {
  EXPECT_EQ(golden("olmoe-bf16").weightType, ElementType::BF16);
  EXPECT_EQ(golden("olmoe-f16").weightType, ElementType::F16);
  EXPECT_EQ(patched("olmoe", R"({"torch_dtype":"bfloat16"})").weightType,
            ElementType::BF16);
  ModelConfig undeclared = patched("olmoe", "{}");
  EXPECT_FALSE(undeclared.weightTypeDeclared);
  EXPECT_EQ(undeclared.weightType, ElementType::F32);

  ConfigOptions options;
  options.weightType = ElementType::F16;
  llvm::Expected<ModelConfig> overridden =
      readModelConfig(goldenPath("olmoe-bf16"), options);
  ASSERT_TRUE(bool(overridden));
  EXPECT_EQ(overridden->weightType, ElementType::F16);
}

TEST(ModelConfig, NullStandsForAbsent) {
  json object = smallConfig("mixtral");
  for (const char *name : {"head_dim", "num_key_value_heads", "sliding_window"})
    object[name] = nullptr;
  ModelConfig config = parsed(object);
  EXPECT_EQ(config.headDim, 4);
  EXPECT_EQ(config.kvHeads, 2);
}

TEST(ModelConfig, HeadDimMayDifferFromQuotient) {
  ModelConfig config = patched("qwen3_moe", R"({"head_dim":6})");
  EXPECT_EQ(config.queryWidth(), 12);
  EXPECT_EQ(config.keyWidth(), 6);
}

TEST(ModelConfig, SparseStepAndDenseLayers) {
  ModelConfig config =
      patched("qwen3_moe", R"({"num_hidden_layers":6,"decoder_sparse_step":2,)"
                           R"("mlp_only_layers":[3]})");
  std::vector<bool> sparse;
  for (const LayerConfig &layer : config.layers)
    sparse.push_back(layer.sparse);
  EXPECT_EQ(sparse,
            (std::vector<bool>{false, true, false, false, false, true}));
}

// Sliding windows, as in the config classes of transformers 5.23.0.

TEST(SlidingWindow, Mixtral) {
  EXPECT_EQ(windows(golden("mixtral-window")), (std::vector<int64_t>{8, 8}));
  EXPECT_EQ(windows(golden("mixtral")), (std::vector<int64_t>{0, 0}));
}

TEST(SlidingWindow, Qwen2MoeEvenLayersBeforeTheLimit) {
  EXPECT_EQ(windows(golden("qwen2_moe-window")),
            (std::vector<int64_t>{6, 0, 0}));
  EXPECT_EQ(windows(patched("qwen2_moe",
                            R"({"num_hidden_layers":6,"sliding_window":4,)"
                            R"("use_sliding_window":true,)"
                            R"("max_window_layers":4})")),
            (std::vector<int64_t>{4, 0, 4, 0, 0, 0}));
}

TEST(SlidingWindow, Qwen2MoeLayerTypes) {
  EXPECT_EQ(windows(patched(
                "qwen2_moe",
                R"({"sliding_window":4,"use_sliding_window":true,)"
                R"("layer_types":["full_attention","sliding_attention"]})")),
            (std::vector<int64_t>{0, 4}));
}

TEST(SlidingWindow, QwenIgnoresAWindowNotInUse) {
  EXPECT_EQ(windows(patched("qwen2_moe", R"({"sliding_window":4})")),
            (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(windows(patched("qwen3_moe", R"({"sliding_window":4})")),
            (std::vector<int64_t>{0, 0}));
}

TEST(SlidingWindow, Qwen3MoeAllLayers) {
  EXPECT_EQ(windows(patched("qwen3_moe", R"({"sliding_window":4,)"
                                         R"("use_sliding_window":true})")),
            (std::vector<int64_t>{4, 4}));
}

// RoPE fields.

TEST(RopeFields, DefaultBases) {
  EXPECT_EQ(patched("mixtral", "{}").rope.theta, 1e6);
  EXPECT_EQ(patched("olmoe", "{}").rope.theta, 1e4);
  EXPECT_EQ(patched("olmoe", R"({"rope_theta":5e5})").rope.theta, 5e5);
}

TEST(RopeFields, ParametersWinOverTopLevel) {
  EXPECT_EQ(patched("olmoe", R"({"rope_theta":5e5,"rope_parameters":)"
                             R"({"rope_type":"default","rope_theta":7e5}})")
                .rope.theta,
            7e5);
}

TEST(RopeFields, OldAndNewSpellingAgree) {
  ModelConfig published = golden("qwen3_moe-yarn");
  ModelConfig current = patched(
      "qwen3_moe",
      R"({"head_dim":16,"max_position_embeddings":256,"rope_parameters":)"
      R"({"rope_type":"yarn","rope_theta":10000.0,"factor":4.0,)"
      R"("original_max_position_embeddings":64}})");
  EXPECT_EQ(published.rope.type, RopeType::Yarn);
  EXPECT_EQ(published.invFreq, current.invFreq);
  EXPECT_EQ(published.attentionScaling, current.attentionScaling);
}

TEST(RopeFields, OriginalPositionsDefaultToMaximum) {
  ModelConfig config =
      patched("olmoe", R"({"rope_scaling":{"type":"yarn","factor":2}})");
  EXPECT_EQ(config.rope.originalMaxPositions, 64);
  config = patched("olmoe", R"({"original_max_position_embeddings":16,)"
                            R"("rope_scaling":{"type":"yarn","factor":2}})");
  EXPECT_EQ(config.rope.originalMaxPositions, 16);
}

TEST(RopeFields, YarnFactorNullIsTheRatio) {
  json config = smallConfig("olmoe");
  config["rope_scaling"] = {{"type", "yarn"},
                            {"factor", nullptr},
                            {"original_max_position_embeddings", 16}};
  EXPECT_EQ(parsed(config).rope.factor, 4.0);
}

} // namespace
