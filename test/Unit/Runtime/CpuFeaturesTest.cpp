//===- CpuFeaturesTest.cpp - Whether a CPU can run a model ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "../../../lib/Runtime/CpuFeatures.h"

#include <gtest/gtest.h>

using namespace moe::runtime;

TEST(CpuFeatures, NothingNeededIsThere) { EXPECT_TRUE(checkCpu({})); }

TEST(CpuFeatures, UnknownNamesAreTakenToBeThere) {
  EXPECT_TRUE(checkCpu({"some-future-feature"}));
}

#if defined(__x86_64__)
TEST(CpuFeatures, AgreesWithTheCompilersView) {
  __builtin_cpu_init();
  Result<void> found = checkCpu({"avx512bf16"});
  EXPECT_EQ(found.has_value(), bool(__builtin_cpu_supports("avx512bf16")));
  if (!found)
    EXPECT_NE(found.error().message.find("avx512bf16"), std::string::npos);
}
#endif
