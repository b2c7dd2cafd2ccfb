//===- Regions.cpp - What generated code asks of OpenMP -------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Regions.h"

#include "ThreadPool.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace moe::openmp {

static thread_local int32_t nextThreads = 1;

void setThreads(int32_t threads) { nextThreads = threads; }

int32_t threadNumber() { return ThreadPool::place().thread; }

void barrier() { ThreadPool::get().barrier(); }

// Set between regions: starting one shows it to the other threads.
static LoopListener loopListener = nullptr;
static void *loopContext = nullptr;

void listenToLoops(LoopListener listener, void *context) {
  loopListener = listener;
  loopContext = context;
}

void endLoop() {
  barrier();
  if (loopListener && threadNumber() == 0) [[unlikely]]
    loopListener(loopContext);
}

void runRegion(Microtask task, void *captured) {
  struct Region {
    Microtask task;
    void *captured;
  } region{task, captured};
  auto work = [](void *context) {
    const auto &region = *static_cast<Region *>(context);
    int32_t thread = threadNumber(), bound = thread;
    region.task(&thread, &bound, region.captured);
  };
  int threads = std::max(1, nextThreads);
  nextThreads = 1;
  ThreadPool::get().run(threads, work, &region);
}

void shareLoop(int32_t *isLast, uint64_t *lower, uint64_t *upper,
               int64_t *stride) {
  ThreadPool::Place place = ThreadPool::place();
  // An empty loop comes as 0 to -1, and this wraps to 0.
  uint64_t count = *upper - *lower + 1;
  uint64_t each = count / uint64_t(place.threads);
  uint64_t more = count % uint64_t(place.threads);
  uint64_t thread = uint64_t(place.thread);
  uint64_t end = *upper;
  uint64_t mine = each + (thread < more);
  *lower += thread * each + std::min(thread, more);
  *upper = *lower + mine - 1;
  *stride = int64_t(count);
  if (isLast)
    *isLast = mine && *upper == end;
}

void refuse(const char *what) {
  std::fprintf(stderr,
               "error: generated code uses %s, which this program's "
               "threads do not offer\n",
               what);
  std::abort();
}

} // namespace moe::openmp
