//===- read.c - How fast memory can be read -------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include <immintrin.h>
#include <omp.h>
#include <stdint.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static volatile long long sink;

/// Reads streams * each bytes from p: a block of 256 bytes of each stream in
/// turn. `ahead` is the distance of software prefetch in bytes, or 0.
__attribute__((target("avx2"))) static long long
readStreams(const char *p, int64_t each, int streams, int64_t ahead) {
  __m256i sum[8];
  for (int j = 0; j < 8; j++)
    sum[j] = _mm256_setzero_si256();
  for (int64_t i = 0; i < each; i += 256)
    for (int k = 0; k < streams; k++) {
      const char *q = p + each * k + i;
      if (ahead)
        for (int j = 0; j < 256; j += 64)
          _mm_prefetch(q + ahead + j, _MM_HINT_T0);
      for (int j = 0; j < 8; j++)
        sum[j] = _mm256_add_epi64(
            sum[j], _mm256_loadu_si256((const __m256i *)(q + 32 * j)));
    }
  long long total = 0;
  for (int j = 0; j < 8; j++)
    total += _mm256_extract_epi64(sum[j], 0) ^ _mm256_extract_epi64(sum[j], 3);
  return total;
}

/// Bytes a second of reading `bytes` bytes once, each thread its own part.
double read_rate(const char *p, int64_t bytes, int threads, int streams,
                 int64_t ahead) {
  int64_t each = bytes / threads / streams / 256 * 256;
  long long total = 0;
  double start = now();
#pragma omp parallel num_threads(threads) reduction(+ : total)
  total += readStreams(p + each * streams * omp_get_thread_num(), each, streams,
                       ahead);
  double seconds = now() - start;
  sink = total;
  return (double)each * streams * threads / seconds;
}
