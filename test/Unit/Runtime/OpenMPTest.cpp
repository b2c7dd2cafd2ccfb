//===- OpenMPTest.cpp - Regions, barriers and loops on our threads --------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "../../../lib/Runtime/OpenMP/Regions.h"
#include "../../../lib/Runtime/OpenMP/ThreadPool.h"

#include <atomic>
#include <functional>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

using namespace moe::openmp;

/// Runs `body(thread)` in a region, as generated code does.
static void region(int threads, std::function<void(int)> body) {
  setThreads(threads);
  runRegion(
      [](int32_t *thread, int32_t *, void *captured) {
        (*static_cast<std::function<void(int)> *>(captured))(*thread);
      },
      &body);
}

TEST(OpenMP, EveryThreadRunsOnce) {
  // Up and down: threads that a region leaves out must be there for the next.
  for (int round = 0; round < 200; ++round)
    for (int threads : {1, 4, 2, 7, 3, 0}) {
      std::vector<std::atomic<int>> runs(8);
      region(threads, [&](int thread) {
        EXPECT_EQ(thread, threadNumber());
        ++runs[thread];
      });
      for (int i = 0; i < 8; ++i)
        ASSERT_EQ(runs[i], i < std::max(threads, 1)) << threads << " " << i;
    }
  EXPECT_EQ(threadNumber(), 0);
}

TEST(OpenMP, TheNumberOfThreadsHoldsForOneRegion) {
  region(3, [](int) {});
  std::atomic<int> runs = 0;
  std::function<void(int)> count = [&](int) { ++runs; };
  runRegion(
      [](int32_t *thread, int32_t *, void *captured) {
        (*static_cast<std::function<void(int)> *>(captured))(*thread);
      },
      &count);
  EXPECT_EQ(runs, 1);
}

TEST(OpenMP, NobodyPassesABarrierEarly) {
  for (int threads : {2, 3, 5}) {
    // Written by one thread, read by all behind the barrier, without atomics.
    int shared = 0;
    std::atomic<int> wrong = 0;
    region(threads, [&](int thread) {
      for (int step = 0; step < 2000; ++step) {
        if (thread == step % threads)
          shared = step;
        barrier();
        wrong += shared != step;
        barrier();
      }
    });
    EXPECT_EQ(wrong, 0) << threads;
  }
}

TEST(OpenMP, SleepersWakeUp) {
  for (int i = 0; i < 5; ++i) {
    std::atomic<int> runs = 0;
    region(3, [&](int thread) {
      if (thread == i % 3) // The others wait longer than they spin.
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      barrier();
      ++runs;
    });
    EXPECT_EQ(runs, 3);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

TEST(OpenMP, LoopsAreSharedInEqualRuns) {
  for (uint64_t count : {0, 1, 2, 3, 4, 7, 64, 65})
    for (int threads : {1, 2, 3, 5}) {
      std::vector<std::pair<uint64_t, uint64_t>> runs(threads);
      std::vector<int32_t> last(threads);
      region(threads, [&](int thread) {
        uint64_t lower = 10, upper = 10 + count - 1;
        int64_t stride;
        shareLoop(&last[thread], &lower, &upper, &stride);
        runs[thread] = {lower, upper - lower + 1};
      });
      uint64_t next = 10;
      for (int thread = 0; thread < threads; ++thread) {
        EXPECT_EQ(runs[thread].first, next);
        EXPECT_LE(runs[thread].second, (count + threads - 1) / threads);
        next += runs[thread].second;
        EXPECT_EQ(last[thread], runs[thread].second && next == 10 + count);
      }
      EXPECT_EQ(next, 10 + count);
    }
}

TEST(OpenMP, ARegionInARegionRunsOnItsCaller) {
  std::atomic<int> inner = 0, outer = 0;
  region(3, [&](int thread) {
    region(3, [&](int innerThread) {
      inner += 1 + innerThread;
      barrier();
    });
    EXPECT_EQ(threadNumber(), thread);
    barrier();
    ++outer;
  });
  EXPECT_EQ(inner, 3);
  EXPECT_EQ(outer, 3);
}

TEST(OpenMP, RegionsOfTwoThreadsDoNotMix) {
  std::atomic<int> runs = 0;
  auto work = [&] {
    for (int i = 0; i < 500; ++i)
      region(2, [&](int thread) {
        barrier();
        runs += thread == 0;
      });
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(runs, 1000);
}
