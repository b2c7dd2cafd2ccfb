//===- CpuFeatures.cpp - Whether this CPU can run the model ---------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "CpuFeatures.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

using namespace moe::runtime;

#if defined(__x86_64__)

/// Whether the system saves tiles (XCR0, bits 17 and 18) and lets this process
/// use them: Linux wants to be asked, once for all threads, and gives a process
/// that did not ask an illegal instruction. Some hypervisors pass on the
/// features, but none of the palettes without which nothing can be configured.
static bool mayUseTiles() {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(0x1d, 0, &a, &b, &c, &d) || a == 0)
    return false;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
    return false;
  asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  constexpr unsigned kTileState = 3 << 17;
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return (a & kTileState) == kTileState &&
         ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

/// Bit `number` of EDX in leaf 7, a feature of AMX.
static bool hasTiles(unsigned number) {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> number & 1))
    return false;
  static const bool allowed = mayUseTiles();
  return allowed;
}

#endif

/// A feature that nobody here can ask about counts as missing.
static bool isMissing(const std::string &name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // The builtin takes literals only.
#define MOE_CHECKED_FEATURE(NAME)                                              \
  if (name == NAME)                                                            \
    return !__builtin_cpu_supports(NAME);
#include "moe/Runtime/CheckedFeatures.def"
  if (name == "amx-bf16")
    return !hasTiles(22);
  if (name == "amx-tile")
    return !hasTiles(24);
  if (name == "amx-int8")
    return !hasTiles(25);
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
