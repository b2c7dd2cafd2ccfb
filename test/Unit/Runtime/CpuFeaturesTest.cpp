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
#endif
