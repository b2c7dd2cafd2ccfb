//===- HostThreads.h - How many threads -------------------------*- C++ -*-===//
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

} // namespace moe::runtime

#endif // MOE_RUNTIME_HOSTTHREADS_H
