//===- CpuFeatures.cpp - Whether this CPU can run the model ---------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "CpuFeatures.h"

using namespace moe::runtime;

/// True for a feature that the compiler can ask about and this CPU lacks. One
/// that it cannot ask about is taken to be there.
static bool isMissing(const std::string &name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // The builtin takes literals only.
#define MOE_FEATURE(NAME)                                                      \
  if (name == NAME)                                                            \
    return !__builtin_cpu_supports(NAME);
  MOE_FEATURE("avx2")
  MOE_FEATURE("fma")
  MOE_FEATURE("f16c")
  MOE_FEATURE("bmi2")
  MOE_FEATURE("avx512f")
  MOE_FEATURE("avx512bw")
  MOE_FEATURE("avx512vl")
  MOE_FEATURE("avx512dq")
  MOE_FEATURE("avx512bf16")
#undef MOE_FEATURE
#endif
  return false;
}

Result<void> moe::runtime::checkCpu(const std::vector<std::string> &needed) {
  std::string missing;
  for (const std::string &name : needed)
    if (isMissing(name))
      missing += (missing.empty() ? "" : ", ") + name;
  if (missing.empty())
    return {};
  return fail("this CPU lacks ", missing,
              ", which the model was compiled for; moec --target=x86-64-v3 "
              "compiles it for older CPUs");
}
