//===- RotaryEmbeddingTest.cpp - RoPE frequencies against the oracle ------===//
//
// Part of moe-mlir. golden/rope.json holds what transformers computes.
// PyTorch's vectorised f32 power may be one unit in the last place off the
// correctly rounded one, and later steps keep or round that difference.
//
//===----------------------------------------------------------------------===//

#include "TestCheckpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>

using namespace moe;
using namespace moe::test;
using nlohmann::json;

namespace {

ModelConfig configOf(const json &item) {
  json config = smallConfig("qwen3_moe");
  for (const char *name :
       {"rope_parameters", "head_dim", "max_position_embeddings"})
    config[name] = item[name];
  return parsed(config);
}

/// Units in the last place between two positive floats.
int64_t distance(float a, float b) {
  int32_t bitsA, bitsB;
  std::memcpy(&bitsA, &a, 4);
  std::memcpy(&bitsB, &b, 4);
  return std::abs(int64_t(bitsA) - bitsB);
}

TEST(RotaryEmbedding, MatchesOracle) {
  std::ifstream file(goldenPath("rope.json"));
  json items = json::parse(file);
  ASSERT_GE(items.size(), 30u);
  int64_t total = 0, exact = 0;
  for (const json &item : items) {
    ModelConfig config = configOf(item);
    std::vector<float> values = ropeInvFreq(config.rope, item["context"]);
    std::vector<float> expected = item["inv_freq"];
    ASSERT_EQ(values.size(), expected.size());
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_LE(distance(values[i], expected[i]), 2)
          << item["rope_parameters"] << " [" << i << "]: " << values[i]
          << ", oracle " << expected[i];
      exact += values[i] == expected[i];
      ++total;
    }
    EXPECT_NEAR(config.attentionScaling, item["attention_factor"], 1e-12);
  }
  // Nearly all agree to the bit.
  EXPECT_GE(exact, total * 9 / 10) << exact << " of " << total;
}

TEST(RotaryEmbedding, OnlyDynamicDependsOnTheContext) {
  RopeConfig rope;
  rope.headDim = 16;
  rope.maxPositions = 64;
  rope.originalMaxPositions = 32;
  rope.factor = 2;
  for (RopeType type : {RopeType::Default, RopeType::Linear, RopeType::Dynamic,
                        RopeType::Yarn, RopeType::Llama3}) {
    rope.type = type;
    EXPECT_EQ(ropeInvFreq(rope, 1), ropeInvFreq(rope, 64));
    bool same = ropeInvFreq(rope, 64) == ropeInvFreq(rope, 128);
    EXPECT_EQ(same, type != RopeType::Dynamic);
  }
}

} // namespace
