//===- Ceilings.h - What this machine can do, measured now ------*- C++ -*-===//
//
// Part of moe-mlir. For the floors of a profile. No FLOP of a model is here:
// these loops multiply constants in registers and sum up bytes.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_CEILINGS_H
#define MOE_RUNTIME_CEILINGS_H

#include "moe/Runtime/StepProfile.h"

namespace moe::runtime {

/// Bytes a second at which `threads` threads read `memory`, at most 512 MiB of
/// it, each its own part, again and again; best of several tries.
double measureReadRate(Bytes memory, int64_t threads);

/// A loop of one instruction that multiplies, in registers.
struct PeakLoop {
  const char *instruction;
  void (*run)(int64_t rounds);
  /// Of one round: 2 for a multiply-add.
  double flops;
};

/// Of the instruction by which code for `target` computes a recipe
/// (docs/numerics.md), on weights of `format` ("int8") if they are quantised;
/// null where there is no such loop.
const PeakLoop *findPeakLoop(const std::string &recipe,
                             const TargetInfo &target,
                             const std::string &format);

/// FLOPs a second; 0 without a loop.
double measurePeak(const PeakLoop *loop, int64_t threads);

} // namespace moe::runtime

#endif // MOE_RUNTIME_CEILINGS_H
