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

/// FLOPs a second of a recipe (docs/numerics.md), in registers, with the
/// instructions of the code's target; 0 where there is no loop for it.
double measurePeak(const std::string &recipe, const TargetInfo &target,
                   int64_t threads);

} // namespace moe::runtime

#endif // MOE_RUNTIME_CEILINGS_H
