//===- Regions.h - What generated code asks of OpenMP -----------*- C++ -*-===//
//
// Part of moe-mlir. Generated code is one parallel region a step, loops of a
// static schedule in it, and barriers. These functions run it on our threads.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_OPENMP_REGIONS_H
#define MOE_LIB_RUNTIME_OPENMP_REGIONS_H

#include <cstdint>

namespace moe::openmp {

/// A region's body: ids of the thread, then what the region captured.
using Microtask = void (*)(int32_t *globalThread, int32_t *boundThread,
                           void *captured);

/// The number of threads of the caller's next region; 0: one.
void setThreads(int32_t threads);
void runRegion(Microtask task, void *captured);
int32_t threadNumber();
void barrier();

/// The barrier behind a loop; the first thread then tells who listens.
void endLoop();

/// From now on `listener(context)` hears of every loop's end; null: nobody. Not
/// while a region runs.
using LoopListener = void (*)(void *context);
void listenToLoops(LoopListener listener, void *context);

/// Cuts the iterations lower..upper, inclusive, into one run for each thread;
/// the first ones get one more where they do not divide.
void shareLoop(int32_t *isLast, uint64_t *lower, uint64_t *upper,
               int64_t *stride);

/// In `flags`, the second field of OpenMP's ident_t: a barrier that stands by
/// itself and ends no loop.
inline constexpr int32_t kExplicitBarrier = 0x20;

/// OpenMP's name of that schedule; no other is generated.
inline constexpr int32_t kStaticSchedule = 34;

/// Ends the program: generated code asked for what is not here.
[[noreturn]] void refuse(const char *what);

} // namespace moe::openmp

#endif // MOE_LIB_RUNTIME_OPENMP_REGIONS_H
