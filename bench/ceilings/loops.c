//===- loops.c - Runs register-resident loops on several threads ----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "loops.h"

#include <omp.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

int loop_count(void) {
  return floatLoopCount + vnniLoopCount + avx2IntegerLoopCount;
}

static const Loop *find(int i) {
  if (i < floatLoopCount)
    return &floatLoops[i];
  i -= floatLoopCount;
  return i < vnniLoopCount ? &vnniLoops[i]
                           : &avx2IntegerLoops[i - vnniLoopCount];
}

const char *loop_recipe(int i) { return find(i)->recipe; }
const char *loop_name(int i) { return find(i)->name; }
int loop_available(int i) { return find(i)->available(); }

/// Operations a second of loop i; 0 where the CPU lacks its instructions.
double loop_rate(int i, int threads, double seconds) {
  const Loop *loop = find(i);
  if (!loop->available())
    return 0;
  double total = 0, start = now();
#pragma omp parallel num_threads(threads) reduction(+ : total)
  {
    long iterations = 0;
    do {
      loop->run(2000);
      iterations += 2000;
    } while (now() - start < seconds);
    total += loop->operations * iterations;
  }
  return total / (now() - start);
}
