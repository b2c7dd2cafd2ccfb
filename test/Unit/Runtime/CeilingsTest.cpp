//===- CeilingsTest.cpp - Which loops measure a machine -------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "lib/Runtime/Ceilings.h"
#include "lib/Runtime/CpuFeatures.h"

#include <gtest/gtest.h>

namespace moe::runtime {
namespace {

TEST(Ceilings, AreThereForWhatTheTargetHas) {
  std::vector<std::byte> memory(1 << 16);
  TargetInfo target;
  EXPECT_EQ(findPeakLoop("widen-f32-fma", target, "none"), nullptr);
  EXPECT_EQ(measurePeak(nullptr, 1), 0);
  EXPECT_EQ(measureReadRate(Bytes(memory).first(100), 1), 0);
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    GTEST_SKIP();
  target.features = {"avx2", "fma"};
  for (const char *recipe : {"widen-f32-fma", "group-sums"})
    for (const char *format : {"int8", "int4"})
      EXPECT_GT(measurePeak(findPeakLoop(recipe, target, format), 2), 0)
          << recipe << " " << format;
  EXPECT_GT(measureReadRate(memory, 2), 0);
#endif
}

#if defined(__x86_64__)
TEST(Ceilings, TakeTheInstructionOfTheCode) {
  using Features = std::vector<std::string>;
  const Features v3 = {"avx2", "fma"};
  auto with = [](Features features, const Features &more) {
    features.insert(features.end(), more.begin(), more.end());
    return features;
  };
  const Features v4 = with(v3, {"avx512f", "avx512bw", "avx512vl", "avx512dq"});
  auto expect = [](const Features &features, const char *recipe,
                   const char *format, const char *instruction) {
    TargetInfo target;
    target.features = features;
    const PeakLoop *loop = findPeakLoop(recipe, target, format);
    EXPECT_STREQ(loop ? loop->instruction : "none", instruction);
  };
  expect(v3, "widen-f32-fma", "none", "vfmadd ymm");
  expect(v4, "widen-f32-fma", "none", "vfmadd zmm");
  // Without the rest of AVX-512 code is AVX2's.
  expect(with(v3, {"avx512f"}), "widen-f32-fma", "none", "vfmadd ymm");
  expect(v4, "bf16-dot-pairs", "none", "none");
  expect(with(v4, {"avx512bf16"}), "bf16-dot-pairs", "none", "vdpbf16ps zmm");
  expect(v3, "group-sums", "int8", "vpmaddwd ymm");
  expect(v3, "group-sums", "int4", "vpmaddubsw ymm");
  expect(with(v3, {"avxvnni"}), "group-sums", "int8", "vpdpbusd ymm, scaled");
  expect(v4, "group-sums", "int8", "vpmaddwd zmm");
  expect(with(v4, {"amx-bf16"}), "bf16-tile-pairs", "none", "tdpbf16ps");
  expect(with(v4, {"amx-int8"}), "group-sums", "int4", "tdpbsud");
  expect(v4, "group-sums", "mxfp4", "vpmaddubsw zmm");
  // Which the code does not use: it has vectors of 512 bits.
  expect(with(v4, {"avxvnni"}), "group-sums", "int4", "vpmaddubsw zmm");
  expect(with(v4, {"avx512vnni"}), "group-sums", "int8",
         "vpdpbusd zmm, scaled");
  expect(with(v4, {"avx512vnni"}), "row-sums", "int8_channel", "vpdpbusd zmm");
}

/// Each that this machine can run measures something.
TEST(Ceilings, HaveLoopsThatRun) {
  TargetInfo target;
  for (const char *feature : {"avx2", "fma", "avx512f", "avx512bw", "avx512vl",
                              "avx512dq", "avxvnni", "avx512vnni"}) {
    if (!missingFeatures({feature}).empty())
      continue;
    target.features.push_back(feature);
    for (const char *format : {"int8", "int4"})
      if (const PeakLoop *loop = findPeakLoop("group-sums", target, format))
        EXPECT_GT(measurePeak(loop, 1), 0) << loop->instruction;
  }
}
#endif

} // namespace
} // namespace moe::runtime
