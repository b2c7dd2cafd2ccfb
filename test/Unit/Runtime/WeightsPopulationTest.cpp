//===- WeightsPopulationTest.cpp - Reading weights ahead ------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "lib/Runtime/WeightsPopulation.h"

#include "moe/Runtime/PayloadFile.h"

#include <gtest/gtest.h>

namespace moe::runtime {
namespace {

TEST(WeightsPopulation, ReadsMeminfo) {
  EXPECT_EQ(parseAvailableMemory("MemTotal: 9 kB\nMemAvailable:     12 kB\n"),
            12 * 1024);
  EXPECT_EQ(parseAvailableMemory("MemTotal: 9 kB\n"), -1);
  EXPECT_EQ(parseAvailableMemory("MemAvailable: x"), -1);
  EXPECT_EQ(parseAvailableMemory(""), -1);
}

TEST(WeightsPopulation, EndsWithItsObject) {
  Result<MappedFile> file = MappedFile::open("/proc/self/exe");
  ASSERT_TRUE(file) << file.error().message;
  WeightsPopulation all(file->bytes(), /*quiet=*/true);
  all.wait();
  WeightsPopulation stopped(file->bytes(), /*quiet=*/true);
  WeightsPopulation none(Bytes(), /*quiet=*/true);
}

} // namespace
} // namespace moe::runtime
