//===- ThreadPool.h - Threads that wait for parallel regions ----*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_OPENMP_THREADPOOL_H
#define MOE_LIB_RUNTIME_OPENMP_THREADPOOL_H

#include <atomic>
#include <cstdint>

namespace moe::openmp {

/// Threads that live as long as the process. One region runs at a time.
class ThreadPool {
public:
  /// Called once by each thread of a region.
  using Work = void (*)(void *context);

  /// The process's pool; it is never destroyed, because its threads end with
  /// the process.
  static ThreadPool &get();

  /// Runs `work` on the caller, which becomes thread 0, and on `threads` - 1
  /// others, fewer where the system gives no more; returns when all are done.
  /// A region inside another, or beside one of another thread, runs on its
  /// caller alone.
  void run(int threads, Work work, void *context);

  /// Waits for the other threads of the caller's region.
  void barrier();

  /// The caller's place in its region: 0 <= thread < threads.
  struct Place {
    int thread = 0, threads = 1;
  };
  static Place place();

private:
  /// Until `word` is no longer `old`: spins at first, since most waits are
  /// short, then sleeps.
  static void waitWhile(const std::atomic<uint32_t> &word, uint32_t old);
  void serve(int thread);
  /// Makes threads until a region of `threads` can run; returns how many can.
  int grow(int threads);

  // What threads wait for lies on cache lines of its own.
  /// Counts regions, above the number of threads in its low bits: a thread
  /// that is not part of a region looks at nothing else of it.
  alignas(64) std::atomic<uint32_t> round{0};
  /// Threads that have reached the current barrier.
  alignas(64) std::atomic<int> arrived{0};
  /// Counts barriers passed.
  alignas(64) std::atomic<uint32_t> passed{0};
  alignas(64) std::atomic_flag busy;
  Work work = nullptr;
  void *context = nullptr;
  /// Threads there are, the caller included.
  int size = 1;
};

} // namespace moe::openmp

#endif // MOE_LIB_RUNTIME_OPENMP_THREADPOOL_H
