//===- KmpForwarders.cpp - OpenMP's entry points, from libomp or ours -----===//
//
// Part of moe-mlir. libomp runs the regions where it is installed, so that a
// program with other OpenMP code, tools and the KMP_ variables see what they
// expect. The dynamic loader would refuse to start an executable without it
// before any message of ours; so it is looked up here, and our threads take
// its place.
//
//===----------------------------------------------------------------------===//

#include "Regions.h"

#include <cstdarg>
#include <dlfcn.h>

using namespace moe::openmp;

namespace {
struct Libomp {
  int32_t (*threadNumber)(void *);
  void (*setThreads)(void *, int32_t, int32_t);
  void (*fork)(void *, int32_t, Microtask, ...);
  void (*barrier)(void *, int32_t);
  void (*shareLoop)(void *, int32_t, int32_t, int32_t *, uint64_t *, uint64_t *,
                    int64_t *, int64_t, int64_t);
  void (*endLoop)(void *, int32_t);
  bool found = false;

  template <typename T>
  static bool find(void *library, const char *name, T &function) {
    function = reinterpret_cast<T>(dlsym(library, name));
    return function;
  }

  Libomp() {
    void *library = dlopen("libomp.so.5", RTLD_NOW | RTLD_GLOBAL);
    found = library &&
            find(library, "__kmpc_global_thread_num", threadNumber) &&
            find(library, "__kmpc_push_num_threads", setThreads) &&
            find(library, "__kmpc_fork_call", fork) &&
            find(library, "__kmpc_barrier", barrier) &&
            find(library, "__kmpc_for_static_init_8u", shareLoop) &&
            find(library, "__kmpc_for_static_fini", endLoop);
  }
};
} // namespace

/// Looked up at the first region, when the environment is set.
static const Libomp &libomp() {
  static const Libomp library;
  return library;
}

extern "C" {

int32_t __kmpc_global_thread_num(void *location) {
  const Libomp &omp = libomp();
  return omp.found ? omp.threadNumber(location) : threadNumber();
}

void __kmpc_push_num_threads(void *location, int32_t thread, int32_t threads) {
  const Libomp &omp = libomp();
  omp.found ? omp.setThreads(location, thread, threads) : setThreads(threads);
}

void __kmpc_fork_call(void *location, int32_t count, Microtask task, ...) {
  if (count > 1)
    refuse("a parallel region of several arguments");
  va_list arguments;
  va_start(arguments, task);
  void *captured = count == 1 ? va_arg(arguments, void *) : nullptr;
  va_end(arguments);
  const Libomp &omp = libomp();
  omp.found ? omp.fork(location, count, task, captured)
            : runRegion(task, captured);
}

void __kmpc_barrier(void *location, int32_t thread) {
  const Libomp &omp = libomp();
  omp.found ? omp.barrier(location, thread) : barrier();
}

void __kmpc_for_static_init_8u(void *location, int32_t thread, int32_t schedule,
                               int32_t *isLast, uint64_t *lower,
                               uint64_t *upper, int64_t *stride,
                               int64_t increment, int64_t chunk) {
  const Libomp &omp = libomp();
  if (omp.found)
    return omp.shareLoop(location, thread, schedule, isLast, lower, upper,
                         stride, increment, chunk);
  if (schedule != kStaticSchedule || increment != 1)
    refuse("a loop that is not shared in equal runs");
  shareLoop(isLast, lower, upper, stride);
}

void __kmpc_for_static_fini(void *location, int32_t thread) {
  const Libomp &omp = libomp();
  if (omp.found)
    omp.endLoop(location, thread);
}

} // extern "C"
