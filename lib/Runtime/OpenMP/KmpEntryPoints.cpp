//===- KmpEntryPoints.cpp - OpenMP's entry points, on our threads ---------===//
//
// Part of moe-mlir. Signatures are those of LLVM's openmp/runtime/src/kmp.h;
// every executable is linked with these.
//
//===----------------------------------------------------------------------===//

#include "Regions.h"

#include <cstdarg>

using namespace moe::openmp;

extern "C" {

int32_t __kmpc_global_thread_num(void *) { return threadNumber(); }

void __kmpc_push_num_threads(void *, int32_t, int32_t threads) {
  setThreads(threads);
}

/// The task takes what the region captured as one pointer, or nothing.
void __kmpc_fork_call(void *, int32_t count, Microtask task, ...) {
  if (count > 1)
    refuse("a parallel region of several arguments");
  va_list arguments;
  va_start(arguments, task);
  void *captured = count == 1 ? va_arg(arguments, void *) : nullptr;
  va_end(arguments);
  runRegion(task, captured);
}

void __kmpc_barrier(void *location, int32_t) {
  if (static_cast<const int32_t *>(location)[1] & kExplicitBarrier)
    barrier();
  else
    endLoop();
}

void __kmpc_for_static_init_8u(void *, int32_t, int32_t schedule,
                               int32_t *isLast, uint64_t *lower,
                               uint64_t *upper, int64_t *stride,
                               int64_t increment, int64_t) {
  if (schedule != kStaticSchedule || increment != 1)
    refuse("a loop that is not shared in equal runs");
  shareLoop(isLast, lower, upper, stride);
}

void __kmpc_for_static_fini(void *, int32_t) {}

} // extern "C"
