//===- ThreadPool.cpp - Threads that wait for parallel regions ------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "ThreadPool.h"

#include <algorithm>
#include <chrono>
#include <pthread.h>
#include <sched.h>

using namespace moe::openmp;

/// Long enough for a barrier between kernels, too
/// short to take a core from anybody else.
static constexpr std::chrono::microseconds kSpinTime{50};

/// How long a wait does nothing for others.
static constexpr std::chrono::microseconds kYieldTime{5};

static constexpr uint32_t kThreadBits = 12;
static constexpr uint32_t kThreadMask = (1u << kThreadBits) - 1;

static thread_local ThreadPool::Place currentPlace;

static void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

ThreadPool &ThreadPool::get() {
  static ThreadPool *pool = new ThreadPool;
  return *pool;
}

ThreadPool::Place ThreadPool::place() { return currentPlace; }

void ThreadPool::waitWhile(const std::atomic<uint32_t> &word, uint32_t old) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin = Clock::now(), now = begin;
  while (now < begin + kSpinTime) {
    for (int i = 0; i < 32; ++i) {
      if (word.load(std::memory_order_acquire) != old)
        return;
      relax();
    }
    now = Clock::now();
    // The thread waited for may need this core.
    if (now > begin + kYieldTime)
      sched_yield();
  }
  while (word.load(std::memory_order_acquire) == old)
    word.wait(old, std::memory_order_acquire);
}

void ThreadPool::barrier() {
  int threads = currentPlace.threads;
  if (threads == 1)
    return;
  uint32_t before = passed.load(std::memory_order_relaxed);
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 < threads)
    return waitWhile(passed, before);
  arrived.store(0, std::memory_order_relaxed);
  passed.fetch_add(1);
  passed.notify_all();
}

void ThreadPool::serve(int thread) {
  uint32_t seen = 0;
  for (;;) {
    waitWhile(round, seen);
    seen = round.load(std::memory_order_acquire);
    int threads = int(seen & kThreadMask);
    if (thread >= threads)
      continue;
    currentPlace = {thread, threads};
    work(context);
    barrier();
  }
}

int ThreadPool::grow(int threads) {
  threads = std::min(threads, int(kThreadMask));
  for (; size < threads; ++size) {
    struct Start {
      ThreadPool *pool;
      int thread;
    };
    auto *start = new Start{this, size};
    auto run = [](void *argument) -> void * {
      Start start = *static_cast<Start *>(argument);
      delete static_cast<Start *>(argument);
      start.pool->serve(start.thread);
      return nullptr;
    };
    pthread_t made;
    if (pthread_create(&made, nullptr, run, start) != 0) {
      delete start;
      return size;
    }
    pthread_detach(made);
  }
  return threads;
}

void ThreadPool::run(int threads, Work newWork, void *newContext) {
  Place outer = currentPlace;
  bool alone = threads <= 1 || busy.test_and_set(std::memory_order_acquire);
  if (!alone && (threads = grow(threads)) <= 1) {
    busy.clear(std::memory_order_release);
    alone = true;
  }
  if (alone) {
    currentPlace = {};
    newWork(newContext);
    currentPlace = outer;
    return;
  }
  work = newWork;
  context = newContext;
  currentPlace = {0, threads};
  uint32_t count = (round.load(std::memory_order_relaxed) >> kThreadBits) + 1;
  round.store(count << kThreadBits | uint32_t(threads));
  round.notify_all();
  newWork(newContext);
  barrier();
  currentPlace = outer;
  busy.clear(std::memory_order_release);
}
