//===- group_sums.c - Ceilings of the recipe of quantised weights ---------===//
//
// Part of moe-mlir. Loops over one group of 32 columns, again and again from
// the first-level cache: integer products, then conversion, scales and sum
// (group-sums in docs/numerics.md), in the tile that kernels use. Loaded by the
// benchmarks beside ceilings.c.
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

static volatile float sink;

#if defined(__AVX512VNNI__)
enum { LANES = 16, ROWS = 6, VECTORS = 2, TOGETHER = 2, QUAD = 1 };
#define UNROLL _Pragma("unroll")
typedef __m512i ints;
typedef __m512 floats;
#define LOAD(p) _mm512_loadu_si512(p)
#define SET1(x) _mm512_set1_epi32(x)
#define SETF(x) _mm512_set1_ps(x)
#define AND(a, b) _mm512_and_si512(a, b)
#define SHIFT4(a) _mm512_srli_epi32(a, 4)
#define TABLE(x) _mm512_broadcast_i32x4(x)
#define LOOKUP(t, w) _mm512_shuffle_epi8(t, w)
#define SCALE(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p)))
#define FLOAT(a) _mm512_cvtepi32_ps(a)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define DOT(acc, w, row, r) (acc) = _mm512_dpbusd_epi32(acc, w, SET1((row)[r]))
#define NARROW(nibbles) 0
#define DOT_NARROW DOT
#define WIDEN(sum, part) (part)
#else
/// Bytes as pairs of 16 bits; nibbles by sums of 16 bits.
enum { LANES = 8, ROWS = 6, VECTORS = 2, TOGETHER = 1, QUAD = 2 };
#define UNROLL _Pragma("clang loop unroll(disable)")
typedef __m256i ints;
typedef __m256 floats;
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define SET1(x) _mm256_set1_epi32(x)
#define SETF(x) _mm256_set1_ps(x)
#define AND(a, b) _mm256_and_si256(a, b)
#define SHIFT4(a) _mm256_srli_epi32(a, 4)
#define TABLE(x) _mm256_broadcastsi128_si256(x)
#define LOOKUP(t, w) _mm256_shuffle_epi8(t, w)
#define SCALE(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p)))
#define FLOAT(a) _mm256_cvtepi32_ps(a)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define DOT(acc, w, row, r)                                                    \
  do {                                                                         \
    ints first = AND(w, SET1(0x00ff00ff)), second = _mm256_srli_epi16(w, 8);   \
    (acc) = _mm256_add_epi32(acc, _mm256_madd_epi16(first, SET1((row)[r])));   \
    (acc) = _mm256_add_epi32(                                                  \
        acc, _mm256_madd_epi16(second, SET1((row)[ROWS + (r)])));              \
  } while (0)
#define NARROW(nibbles) (nibbles)
#define DOT_NARROW(acc, w, row, r)                                             \
  (acc) = _mm256_add_epi16(acc, _mm256_maddubs_epi16(w, SET1((row)[r])))
#define WIDEN(sum, part)                                                       \
  _mm256_add_epi32(sum, _mm256_madd_epi16(part, SET1(0x00010001)))
#endif

#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)

/// `count` times one group; weights are VECTORS runs of 512 bytes and scales.
/// TOGETHER vectors are summed at a time, lines one after the other (UNROLL),
/// narrow sums of STEP lines.
#define GROUPS(NAME, NIBBLES, LOOKS_UP, HAS_MINIMUM)                           \
  static __attribute__((noinline)) void groups_##NAME(                         \
      const char *lines, const int32_t *rows, float *out, long count) {        \
    enum {                                                                     \
      LINES = NIBBLES ? 4 : 8,                                                 \
      HALVES = NIBBLES ? 2 : 1,                                                \
      EACH_QUAD = NARROW(NIBBLES) ? 1 : QUAD,                                  \
      STEP = NARROW(NIBBLES) && LOOKS_UP ? 2 : LINES                           \
    };                                                                         \
    const ints low = SET1(0x0f0f0f0f);                                         \
    const ints table = TABLE(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, \
                                           11, 10, 9, 8, 6, 4, 0));            \
    floats acc[ROWS][VECTORS];                                                 \
    EACH(r, ROWS) EACH(v, VECTORS) acc[r][v] = SETF(0);                        \
    const int32_t *behind = rows + 8 * EACH_QUAD * ROWS;                       \
    const float *scales = (const float *)behind;                               \
    while (count--) {                                                          \
      EACH(s, VECTORS / TOGETHER) {                                            \
        const char *strip = lines + s * TOGETHER * 1024;                       \
        ints sum[ROWS][TOGETHER];                                              \
        EACH(r, ROWS)                                                          \
        EACH(v, TOGETHER) sum[r][v] =                                          \
            HAS_MINIMUM ? SET1(0) : SET1(behind[ROWS + r]);                    \
        EACH(step, LINES / STEP) {                                             \
          ints part[ROWS][TOGETHER];                                           \
          EACH(r, ROWS)                                                        \
          EACH(v, TOGETHER) part[r][v] =                                       \
              NARROW(NIBBLES) ? SET1(0) : sum[r][v];                           \
          UNROLL for (int line = step * STEP; line < (step + 1) * STEP;        \
                      line++) {                                                \
            EACH(half, HALVES) {                                               \
              ints w[TOGETHER];                                                \
              EACH(v, TOGETHER) {                                              \
                w[v] = LOAD(strip + v * 1024 + line * 64);                     \
                if (NIBBLES)                                                   \
                  w[v] = AND(half ? SHIFT4(w[v]) : w[v], low);                 \
                if (LOOKS_UP)                                                  \
                  w[v] = LOOKUP(table, w[v]);                                  \
              }                                                                \
              const int32_t *quad =                                            \
                  rows + (HALVES * line + half) * EACH_QUAD * ROWS;            \
              EACH(r, ROWS) EACH(v, TOGETHER) {                                \
                if (NARROW(NIBBLES))                                           \
                  DOT_NARROW(part[r][v], w[v], quad, r);                       \
                else                                                           \
                  DOT(part[r][v], w[v], quad, r);                              \
              }                                                                \
            }                                                                  \
          }                                                                    \
          EACH(r, ROWS)                                                        \
          EACH(v, TOGETHER) sum[r][v] =                                        \
              NARROW(NIBBLES) ? WIDEN(sum[r][v], part[r][v]) : part[r][v];     \
        }                                                                      \
        EACH(r, ROWS) EACH(v, TOGETHER) {                                      \
          const char *at = strip + v * 1024 + 512;                             \
          floats *total = &acc[r][s * TOGETHER + v];                           \
          *total =                                                             \
              FMA(FLOAT(sum[r][v]), MUL(SCALE(at), SETF(scales[r])), *total);  \
          if (HAS_MINIMUM)                                                     \
            *total = FMA(SCALE(at + 64), SETF(scales[ROWS + r]), *total);      \
        }                                                                      \
      }                                                                        \
      __asm__ volatile("" ::: "memory");                                       \
    }                                                                          \
    EACH(r, ROWS)                                                              \
    EACH(v, VECTORS) STORE(out + (r * VECTORS + v) * LANES, acc[r][v]);        \
  }

GROUPS(int8, 0, 0, 0)
GROUPS(int4, 1, 0, 0)
GROUPS(int4_min, 1, 0, 1)
GROUPS(mxfp4, 1, 1, 0)

typedef void (*Groups)(const char *, const int32_t *, float *, long);

/// Operations/s, two a product.
static double rate(Groups groups, int threads, double seconds) {
  double total = 0, start = now();
  float s = 0;
#pragma omp parallel num_threads(threads) reduction(+ : total, s)
  {
    _Alignas(64) char lines[VECTORS * 1024] = {0};
    int32_t rows[18 * ROWS] = {0};
    float out[ROWS * VECTORS * LANES];
    long n = 0;
    do {
      groups(lines, rows, out, 5000);
      s += out[0];
      n += 5000;
    } while (now() - start < seconds);
    total += 2.0 * 32 * LANES * ROWS * VECTORS * n;
  }
  sink = s;
  return total / (now() - start);
}

double ceiling_int8(int threads, double seconds) {
  return rate(groups_int8, threads, seconds);
}
double ceiling_int4(int threads, double seconds) {
  return rate(groups_int4, threads, seconds);
}
double ceiling_int4_min(int threads, double seconds) {
  return rate(groups_int4_min, threads, seconds);
}
double ceiling_mxfp4(int threads, double seconds) {
  return rate(groups_mxfp4, threads, seconds);
}
