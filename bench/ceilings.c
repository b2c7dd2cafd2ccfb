//===- ceilings.c - What this machine can do at most ----------------------===//
//
// Part of moe-mlir. Register-resident loops of the instructions that kernels
// use, and plain reads of memory. Built for the machine it runs on and loaded
// by the benchmarks, so that ceiling and kernel are measured in one process.
//
//===----------------------------------------------------------------------===//

#include <immintrin.h>
#include <omp.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static volatile float sink;
static volatile long long bytesSink;

#if defined(__AVX512F__)
#define LANES 16
typedef __m512 vec;
#define SET1(x) _mm512_set1_ps(x)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define REDUCE(a) _mm512_reduce_add_ps(a)
#define REGISTERS 24
#else
#define LANES 8
typedef __m256 vec;
#define SET1(x) _mm256_set1_ps(x)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
static float REDUCE(vec a) {
  float v[8];
  _mm256_storeu_ps(v, a);
  return v[0] + v[1] + v[2] + v[3] + v[4] + v[5] + v[6] + v[7];
}
#define REGISTERS 12
#endif

/// FLOP/s of fused multiply-adds of f32.
double ceiling_fma(int threads, double seconds) {
  double total = 0, start = now();
  float s = 0;
#pragma omp parallel num_threads(threads) reduction(+ : total, s)
  {
    vec a[REGISTERS];
    for (int i = 0; i < REGISTERS; i++)
      a[i] = SET1((float)i);
    vec x = SET1(0.999f), y = SET1(1e-3f);
    long n = 0;
    do {
      for (int k = 0; k < 20000; k++) {
#pragma unroll
        for (int i = 0; i < REGISTERS; i++)
          a[i] = FMA(a[i], x, y);
        __asm__ volatile("" ::: "memory");
      }
      n += 20000;
    } while (now() - start < seconds);
    total += 2.0 * LANES * REGISTERS * n;
    for (int i = 0; i < REGISTERS; i++)
      s += REDUCE(a[i]);
  }
  sink = s;
  return total / (now() - start);
}

/// FLOP/s of VDPBF16PS, 0 where the machine has none.
double ceiling_dot_pairs(int threads, double seconds) {
#if defined(__AVX512BF16__)
  double total = 0, start = now();
  float s = 0;
#pragma omp parallel num_threads(threads) reduction(+ : total, s)
  {
    __m512 a[24];
    for (int i = 0; i < 24; i++)
      a[i] = _mm512_set1_ps((float)i);
    __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1.f), _mm512_set1_ps(.5f));
    __m512bh y =
        _mm512_cvtne2ps_pbh(_mm512_set1_ps(1e-3f), _mm512_set1_ps(.1f));
    long n = 0;
    do {
      for (int k = 0; k < 20000; k++) {
#pragma unroll
        for (int i = 0; i < 24; i++)
          a[i] = _mm512_dpbf16_ps(a[i], x, y);
        __asm__ volatile("" ::: "memory");
      }
      n += 20000;
    } while (now() - start < seconds);
    total += 64.0 * 24 * n;
    for (int i = 0; i < 24; i++)
      s += _mm512_reduce_add_ps(a[i]);
  }
  sink = s;
  return total / (now() - start);
#else
  return 0;
#endif
}

/// Bytes/s of reading `bytes` bytes once, `streams` streams a thread, with or
/// without software prefetch.
double ceiling_read(const char *p, int64_t bytes, int threads, int streams,
                    int prefetch) {
  double start = now();
  long long s = 0;
#pragma omp parallel num_threads(threads) reduction(+ : s)
  {
    int id = omp_get_thread_num();
    int64_t each = bytes / threads / streams / 256 * 256;
    const char *base = p + bytes / threads * id / 256 * 256;
    __m256i a[8];
    for (int i = 0; i < 8; i++)
      a[i] = _mm256_setzero_si256();
    for (int64_t i = 0; i < each; i += 256)
      for (int k = 0; k < streams; k++) {
        const char *q = base + each * k + i;
        if (prefetch)
          for (int j = 0; j < 256; j += 64)
            _mm_prefetch(q + 2048 + j, _MM_HINT_T0);
        for (int j = 0; j < 8; j++)
          a[j] = _mm256_add_epi64(
              a[j], _mm256_loadu_si256((const __m256i *)(q + 32 * j)));
      }
    for (int i = 0; i < 8; i++) {
      long long w[4];
      _mm256_storeu_si256((__m256i *)w, a[i]);
      s += w[0] + w[1] + w[2] + w[3];
    }
  }
  bytesSink = s;
  return bytes / (now() - start);
}
