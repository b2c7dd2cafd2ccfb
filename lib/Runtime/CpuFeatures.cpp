//===- CpuFeatures.cpp - Whether this CPU can run the model ---------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "CpuFeatures.h"

using namespace moe::runtime;

/// A feature that nobody here can ask about counts as missing.
static bool isMissing(const std::string &name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // The builtin takes literals only.
#define MOE_CHECKED_FEATURE(NAME)                                              \
  if (name == NAME)                                                            \
    return !__builtin_cpu_supports(NAME);
#include "moe/Runtime/CheckedFeatures.def"
#endif
  return true;
}

std::vector<std::string>
moe::runtime::missingFeatures(const std::vector<std::string> &needed) {
  std::vector<std::string> missing;
  for (const std::string &name : needed)
    if (isMissing(name))
      missing.push_back(name);
  return missing;
}
