//===- RandomWeightsTest.cpp - Generated weights --------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "TestCheckpoint.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace moe;
using namespace moe::test;

namespace {

std::vector<float> row(const WeightSource &source, const char *name,
                       int64_t expert, int64_t index) {
  const LogicalWeight &weight = *source.find(name);
  std::vector<float> values(weight.columns());
  source.readRow(weight, expert, index, values);
  return values;
}

ModelConfig wideConfig() {
  nlohmann::json config = smallConfig("qwen2_moe");
  config["hidden_size"] = 4096;
  return parsed(config);
}

TEST(RandomWeights, DependOnSeedNameExpertAndRow) {
  ModelConfig config = wideConfig();
  std::unique_ptr<WeightSource> source = randomWeights(config, 1);
  std::vector<float> reference = row(*source, "layers.0.experts.up", 1, 2);
  EXPECT_EQ(row(*randomWeights(config, 1), "layers.0.experts.up", 1, 2),
            reference);
  EXPECT_NE(row(*randomWeights(config, 2), "layers.0.experts.up", 1, 2),
            reference);
  EXPECT_NE(row(*source, "layers.0.experts.gate", 1, 2), reference);
  EXPECT_NE(row(*source, "layers.1.experts.up", 1, 2), reference);
  EXPECT_NE(row(*source, "layers.0.experts.up", 2, 2), reference);
  EXPECT_NE(row(*source, "layers.0.experts.up", 1, 3), reference);
}

/// Executables made from --weights=random:SEED must not change with a release.
TEST(RandomWeights, ValuesAreFixed) {
  std::unique_ptr<WeightSource> source =
      randomWeights(parsed(smallConfig("olmoe")), 42);
  std::vector<float> values = row(*source, "layers.1.experts.down", 2, 5);
  const std::vector<float> expected = {-0x1.556394p-2f, -0x1.4adc16p-3f,
                                       -0x1.ca61cap-5f, 0x1.cb4c8ep-1f,
                                       0x1.3705a4p-1f,  -0x1.065086p-3f};
  EXPECT_EQ(values, expected);
}

TEST(RandomWeights, MomentsAreThoseOfTheFanIn) {
  std::unique_ptr<WeightSource> source = randomWeights(wideConfig(), 7);
  double sum = 0, squares = 0, fourth = 0;
  int64_t count = 0;
  for (int64_t index = 0; index < 64; ++index)
    for (float value : row(*source, "layers.0.attn.q", 0, index)) {
      double scaled = value * std::sqrt(4096.0);
      sum += scaled;
      squares += scaled * scaled;
      fourth += scaled * scaled * scaled * scaled;
      ++count;
    }
  EXPECT_NEAR(sum / count, 0.0, 0.01);
  EXPECT_NEAR(squares / count, 1.0, 0.01);
  EXPECT_NEAR(fourth / count, 2.7, 0.05); // sum of four uniforms: 3 - 1.2 / 4
}

TEST(RandomWeights, NormsAreOneAndBiasesSmall) {
  std::unique_ptr<WeightSource> source = randomWeights(wideConfig(), 7);
  for (float value : row(*source, "layers.0.input_norm", 0, 0))
    EXPECT_EQ(value, 1.0f);
  for (float value : row(*source, "layers.0.attn.q_bias", 0, 0))
    EXPECT_LT(std::abs(value), 0.07f);
  EXPECT_FALSE(source->rowPointer(*source->find("embed"), 0, 0));
}

TEST(RandomWeights, TiedHeadIsTheEmbedding) {
  nlohmann::json config = smallConfig("olmoe");
  config["tie_word_embeddings"] = true;
  std::unique_ptr<WeightSource> source = randomWeights(parsed(config), 3);
  EXPECT_EQ(row(*source, "head", 0, 4), row(*source, "embed", 0, 4));
}

} // namespace
