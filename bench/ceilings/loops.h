//===- loops.h - Register-resident loops, and what they are for -----------===//
//
// Part of moe-mlir. Each file of loops ends with a table of Loop; loops.c runs
// them. A loop is compiled for the instructions that it needs and runs only
// where the CPU has them, so that the library builds and loads everywhere.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_BENCH_LOOPS_H
#define MOE_BENCH_LOOPS_H

#include <immintrin.h>
#include <stdint.h>

typedef struct {
  const char *recipe;     // what kernels compute by, as in recipes.py
  const char *name;       // this try at it
  int (*available)(void); // asks the CPU
  void (*run)(long iterations);
  double operations; // of one iteration: 2 for a multiply-add
} Loop;

extern const Loop floatLoops[], vnniLoops[], avx2IntegerLoops[];
extern const int floatLoopCount, vnniLoopCount, avx2IntegerLoopCount;

/// Hides a value from the compiler, at no cost: neither hoisted nor merged.
#define OPAQUE(value) __asm__ volatile("" : "+v"(value))
/// Keeps a value that nothing else reads.
#define KEEP(value) __asm__ volatile("" ::"v"(value))
/// The same in functions without AVX-512, whose registers are x.
#define OPAQUE_X(value) __asm__ volatile("" : "+x"(value))
#define KEEP_X(value) __asm__ volatile("" ::"x"(value))

#define TARGET(features) __attribute__((target(features), noinline))
#define UNROLL _Pragma("clang loop unroll(full)")
#define ROLL _Pragma("clang loop unroll(disable)")

#endif
