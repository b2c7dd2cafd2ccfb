//===- HostThreads.h - How many threads, and how they wait ------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_HOSTTHREADS_H
#define MOE_RUNTIME_HOSTTHREADS_H

#include <cstdint>

namespace moe::runtime {

/// The physical cores that this process may run on, at least 1.
int64_t defaultThreads();

/// Lets the threads of libomp spin at barriers for 50 us at most before they
/// sleep, unless the user has chosen otherwise. Must run before libomp
/// initialises itself, that is before the first parallel region.
void limitBarrierSpinning();

} // namespace moe::runtime

#endif // MOE_RUNTIME_HOSTTHREADS_H
