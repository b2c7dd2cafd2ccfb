//===- CpuFeaturesTest.cpp - Whether a CPU can run a model ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "../../../lib/Runtime/CpuFeatures.h"

#include <gtest/gtest.h>

using namespace moe::runtime;

TEST(CpuFeatures, NothingNeededIsThere) {
  EXPECT_TRUE(missingFeatures({}).empty());
}

TEST(CpuFeatures, UnknownNamesAreTakenToBeMissing) {
  EXPECT_EQ(missingFeatures({"some-future-feature"}),
            std::vector<std::string>{"some-future-feature"});
}

#if defined(__x86_64__)
TEST(CpuFeatures, AgreesWithTheCompilersView) {
  __builtin_cpu_init();
  std::vector<std::string> expected;
  if (!__builtin_cpu_supports("avx512bf16"))
    expected.push_back("avx512bf16");
  EXPECT_EQ(missingFeatures({"avx512bf16"}), expected);
}

/// Where the CPU has tiles, the system may still refuse them.
TEST(CpuFeatures, TilesAreMissingTogether) {
  __builtin_cpu_init();
  std::vector<std::string> tiles = {"amx-tile", "amx-bf16", "amx-int8"};
  std::vector<std::string> missing = missingFeatures(tiles);
  if (!__builtin_cpu_supports("amx-tile"))
    EXPECT_EQ(missing, tiles);
  EXPECT_EQ(missingFeatures(tiles), missing) << "asked twice";
}
#endif
