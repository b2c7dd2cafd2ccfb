//===- SamplerTest.cpp - How the next token is chosen ---------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/Sampler.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>

namespace moe::runtime {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
const float nan = std::numeric_limits<float>::quiet_NaN();

/// How often each id comes in `draws` draws.
std::map<int32_t, int> count(SamplerOptions options,
                             const std::vector<float> &logits,
                             int draws = 20000) {
  options.seed = 7;
  Sampler sampler(options);
  std::map<int32_t, int> counts;
  for (int i = 0; i < draws; ++i)
    ++counts[sampler.sample(logits).value()];
  return counts;
}

SamplerOptions open() {
  return {.temperature = 1, .topK = 0, .topP = 1, .minP = 0, .seed = 0};
}

TEST(Sampler, GreedyTakesTheLowestIdOfEquals) {
  Sampler sampler({.temperature = 0});
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 2, 3}).value(), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{nan, -5, nan, -5}).value(), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{-infinity, -1e30f}).value(), 1);
}

TEST(Sampler, RefusesLogitsWithoutANumber) {
  for (float temperature : {0.0f, 0.8f}) {
    Sampler sampler({.temperature = temperature});
    EXPECT_FALSE(sampler.sample(std::vector<float>{nan, -infinity}));
    EXPECT_FALSE(sampler.sample({}));
  }
}

TEST(Sampler, InfinityWins) {
  Sampler sampler({});
  EXPECT_EQ(sampler.sample(std::vector<float>{9, infinity, 9}).value(), 1);
}

TEST(Sampler, FollowsTheDistribution) {
  std::map<int32_t, int> counts =
      count(open(), {std::log(0.5f), std::log(0.3f), std::log(0.2f)});
  EXPECT_NEAR(counts[0], 10000, 300);
  EXPECT_NEAR(counts[1], 6000, 300);
  EXPECT_NEAR(counts[2], 4000, 300);
}

TEST(Sampler, TemperatureComesLast) {
  // p = .5 .3 .2; top-p .75 keeps two whatever the temperature is.
  SamplerOptions options = open();
  options.topP = 0.75f;
  options.temperature = 100;
  std::map<int32_t, int> counts =
      count(options, {std::log(0.5f), std::log(0.3f), std::log(0.2f)});
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_NEAR(counts[0], 10000, 300);
}

TEST(Sampler, TopKKeepsTheLowestIdsOfEquals) {
  SamplerOptions options = open();
  options.topK = 2;
  std::map<int32_t, int> counts = count(options, {1, 2, 1, 1});
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_TRUE(counts.contains(0) && counts.contains(1));
}

TEST(Sampler, MinPIsRelativeToTheLikeliest) {
  SamplerOptions options = open();
  options.minP = 0.5f;
  std::map<int32_t, int> counts =
      count(options, {std::log(0.5f), std::log(0.3f), std::log(0.2f)});
  EXPECT_EQ(counts.size(), 2u);
  options.minP = 2;
  EXPECT_EQ(count(options, {1, 2, 3}).size(), 1u);
}

TEST(Sampler, OneSeedOneSequence) {
  std::vector<float> logits(100, 0.0f);
  Sampler a({.seed = 3}), b({.seed = 3}), c({.seed = 4});
  std::vector<int32_t> first, second, third;
  for (int i = 0; i < 50; ++i) {
    first.push_back(a.sample(logits).value());
    second.push_back(b.sample(logits).value());
    third.push_back(c.sample(logits).value());
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first, third);
}

} // namespace
} // namespace moe::runtime
