//===- floats.c - Loops of products in f32, bf16 and f16 ------------------===//
//
// Part of moe-mlir. FMA: f32 multiply-adds. WIDEN: weights of 16 bits become
// f32 once for all rows of a tile, the rows are f32. PAIRS: VDPBF16PS.
//
//===----------------------------------------------------------------------===//

#include "loops.h"

#define FMA(name, features, vec, set1, fmadd, OPAQUE, KEEP, count)             \
  TARGET(features) static void name(long n) {                                  \
    vec sum[count], x = set1(0.999f), y = set1(1e-3f);                         \
    UNROLL for (int i = 0; i < count; i++) sum[i] = set1((float)i);            \
    for (long k = 0; k < n; k++) {                                             \
      UNROLL for (int i = 0; i < count; i++) sum[i] = fmadd(sum[i], x, y);     \
      OPAQUE(x);                                                               \
    }                                                                          \
    UNROLL for (int i = 0; i < count; i++) KEEP(sum[i]);                       \
  }
#define FMA512(count)                                                          \
  FMA(fma512x##count, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps,      \
      OPAQUE, KEEP, count)
#define FMA256(count)                                                          \
  FMA(fma256x##count, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps,     \
      OPAQUE_X, KEEP_X, count)
FMA512(8) FMA512(12) FMA512(24) FMA256(8) FMA256(10) FMA256(12)

// One line of 32 bf16 becomes two vectors by shift and mask.
#define WIDEN_BF16_512(rows, lines)                                            \
  TARGET("avx512f") static void widenBF16_512_##rows##x##lines(long n) {       \
    __m512 sum[rows][lines][2], x = _mm512_set1_ps(0.01f);                     \
    __m512i w = _mm512_set1_epi32(0x3f003f00);                                 \
    __m512i high = _mm512_set1_epi32(0xffff0000);                              \
    UNROLL for (int i = 0; i < rows * lines * 2; i++)                          \
        (&sum[0][0][0])[i] = _mm512_set1_ps((float)i);                         \
    for (long k = 0; k < n; k++)                                               \
      UNROLL for (int c = 0; c < lines; c++) {                                 \
        OPAQUE(w);                                                             \
        __m512 even = _mm512_castsi512_ps(_mm512_slli_epi32(w, 16));           \
        __m512 odd = _mm512_castsi512_ps(_mm512_and_si512(w, high));           \
        UNROLL for (int r = 0; r < rows; r++) {                                \
          sum[r][c][0] = _mm512_fmadd_ps(even, x, sum[r][c][0]);               \
          sum[r][c][1] = _mm512_fmadd_ps(odd, x, sum[r][c][1]);                \
        }                                                                      \
      }                                                                        \
    UNROLL for (int i = 0; i < rows * lines * 2; i++)                          \
        KEEP((&sum[0][0][0])[i]);                                              \
  }
// A real tile adds the odd product to the even one's sum: a chain of two.
#define WIDEN_BF16_512_CHAIN(rows, lines)                                      \
  TARGET("avx512f") static void widenBF16_512_chain##rows##x##lines(long n) {  \
    __m512 sum[rows][lines], x = _mm512_set1_ps(0.01f);                        \
    __m512i w = _mm512_set1_epi32(0x3f003f00);                                 \
    __m512i high = _mm512_set1_epi32(0xffff0000);                              \
    UNROLL for (int i = 0; i < rows * lines; i++)                              \
        (&sum[0][0])[i] = _mm512_set1_ps((float)i);                            \
    for (long k = 0; k < n; k++) {                                             \
      __m512 even[lines], odd[lines];                                          \
      UNROLL for (int c = 0; c < lines; c++) {                                 \
        OPAQUE(w);                                                             \
        even[c] = _mm512_castsi512_ps(_mm512_slli_epi32(w, 16));               \
        odd[c] = _mm512_castsi512_ps(_mm512_and_si512(w, high));               \
      }                                                                        \
      UNROLL for (int r = 0; r < rows; r++)                                    \
        UNROLL for (int c = 0; c < lines; c++)                                 \
          sum[r][c] = _mm512_fmadd_ps(even[c], x, sum[r][c]);                  \
      UNROLL for (int r = 0; r < rows; r++)                                    \
        UNROLL for (int c = 0; c < lines; c++)                                 \
          sum[r][c] = _mm512_fmadd_ps(odd[c], x, sum[r][c]);                   \
    }                                                                          \
    UNROLL for (int i = 0; i < rows * lines; i++) KEEP((&sum[0][0])[i]);       \
  }
WIDEN_BF16_512(6, 1) WIDEN_BF16_512(12, 1)
WIDEN_BF16_512_CHAIN(6, 2) WIDEN_BF16_512_CHAIN(12, 2)

#define WIDEN_BF16_256(rows)                                                   \
  TARGET("avx2,fma") static void widenBF16_256_##rows##x1(long n) {            \
    __m256 sum[rows][2], x = _mm256_set1_ps(0.01f);                            \
    __m256i w = _mm256_set1_epi32(0x3f003f00);                                 \
    __m256i high = _mm256_set1_epi32(0xffff0000);                              \
    UNROLL for (int i = 0; i < rows * 2; i++) (&sum[0][0])[i] =                \
        _mm256_set1_ps((float)i);                                              \
    for (long k = 0; k < n; k++) {                                             \
      OPAQUE_X(w);                                                             \
      __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(w, 16));             \
      __m256 odd = _mm256_castsi256_ps(_mm256_and_si256(w, high));             \
      UNROLL for (int r = 0; r < rows; r++) {                                  \
        sum[r][0] = _mm256_fmadd_ps(even, x, sum[r][0]);                       \
        sum[r][1] = _mm256_fmadd_ps(odd, x, sum[r][1]);                        \
      }                                                                        \
    }                                                                          \
    UNROLL for (int i = 0; i < rows * 2; i++) KEEP_X((&sum[0][0])[i]);         \
  }
WIDEN_BF16_256(4) WIDEN_BF16_256(5) WIDEN_BF16_256(6)

// Half a line of f16 becomes one vector.
#define WIDEN_F16_512(rows, vectors)                                           \
  TARGET("avx512f") static void widenF16_512_##rows##x##vectors(long n) {      \
    __m512 sum[rows][vectors], x = _mm512_set1_ps(0.01f);                      \
    __m256i w = _mm256_set1_epi16(0x3800);                                     \
    UNROLL for (int i = 0; i < rows * vectors; i++)                            \
        (&sum[0][0])[i] = _mm512_set1_ps((float)i);                            \
    for (long k = 0; k < n; k++)                                               \
      UNROLL for (int c = 0; c < vectors; c++) {                               \
        OPAQUE(w);                                                             \
        __m512 wide = _mm512_cvtph_ps(w);                                      \
        UNROLL for (int r = 0; r < rows; r++) sum[r][c] =                      \
            _mm512_fmadd_ps(wide, x, sum[r][c]);                               \
      }                                                                        \
    UNROLL for (int i = 0; i < rows * vectors; i++) KEEP((&sum[0][0])[i]);     \
  }
#define WIDEN_F16_256(rows, vectors)                                           \
  TARGET("avx2,fma,f16c") static void                                          \
      widenF16_256_##rows##x##vectors(long n) {                                \
    __m256 sum[rows][vectors], x = _mm256_set1_ps(0.01f);                      \
    __m128i w = _mm_set1_epi16(0x3800);                                        \
    UNROLL for (int i = 0; i < rows * vectors; i++)                            \
        (&sum[0][0])[i] = _mm256_set1_ps((float)i);                            \
    for (long k = 0; k < n; k++)                                               \
      UNROLL for (int c = 0; c < vectors; c++) {                               \
        OPAQUE_X(w);                                                           \
        __m256 wide = _mm256_cvtph_ps(w);                                      \
        UNROLL for (int r = 0; r < rows; r++) sum[r][c] =                      \
            _mm256_fmadd_ps(wide, x, sum[r][c]);                               \
      }                                                                        \
    UNROLL for (int i = 0; i < rows * vectors; i++) KEEP_X((&sum[0][0])[i]);   \
  }
WIDEN_F16_512(6, 2) WIDEN_F16_512(12, 2) WIDEN_F16_256(4, 2)
WIDEN_F16_256(6, 2)

#define PAIRS(count)                                                           \
  TARGET("avx512f,avx512bw,avx512vl,avx512bf16") static void                   \
      pairs512x##count(long n) {                                               \
    __m512 sum[count];                                                         \
    __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f803f00);                      \
    __m512bh w = (__m512bh)_mm512_set1_epi32(0x3a833dcd);                      \
    UNROLL for (int i = 0; i < count; i++) sum[i] =                            \
        _mm512_set1_ps((float)i);                                              \
    for (long k = 0; k < n; k++) {                                             \
      OPAQUE(w);                                                               \
      UNROLL for (int i = 0; i < count; i++) sum[i] =                          \
          _mm512_dpbf16_ps(sum[i], x, w);                                      \
    }                                                                          \
    UNROLL for (int i = 0; i < count; i++) KEEP(sum[i]);                       \
  }
PAIRS(8) PAIRS(12) PAIRS(24)

static int hasAVX512(void) { return __builtin_cpu_supports("avx512f"); }
static int hasAVX2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static int hasF16C(void) {
  return hasAVX2() && __builtin_cpu_supports("f16c");
}
static int hasPairs(void) {
  return hasAVX512() && __builtin_cpu_supports("avx512bf16");
}

const Loop floatLoops[] = {
    {"f32-fma", "zmm, 8 sums", hasAVX512, fma512x8, 32.0 * 8},
    {"f32-fma", "zmm, 12 sums", hasAVX512, fma512x12, 32.0 * 12},
    {"f32-fma", "zmm, 24 sums", hasAVX512, fma512x24, 32.0 * 24},
    {"f32-fma", "ymm, 8 sums", hasAVX2, fma256x8, 16.0 * 8},
    {"f32-fma", "ymm, 10 sums", hasAVX2, fma256x10, 16.0 * 10},
    {"f32-fma", "ymm, 12 sums", hasAVX2, fma256x12, 16.0 * 12},
    {"bf16-widen", "zmm, 6 rows x 1 line, odd and even apart", hasAVX512,
     widenBF16_512_6x1, 64.0 * 6},
    {"bf16-widen", "zmm, 12 rows x 1 line, odd and even apart", hasAVX512,
     widenBF16_512_12x1, 64.0 * 12},
    {"bf16-widen", "zmm, 6 rows x 2 lines", hasAVX512,
     widenBF16_512_chain6x2, 128.0 * 6},
    {"bf16-widen", "zmm, 12 rows x 2 lines", hasAVX512,
     widenBF16_512_chain12x2, 128.0 * 12},
    {"bf16-widen", "ymm, 4 rows x 1 line, odd and even apart", hasAVX2,
     widenBF16_256_4x1, 32.0 * 4},
    {"bf16-widen", "ymm, 5 rows x 1 line, odd and even apart", hasAVX2,
     widenBF16_256_5x1, 32.0 * 5},
    {"bf16-widen", "ymm, 6 rows x 1 line, odd and even apart", hasAVX2,
     widenBF16_256_6x1, 32.0 * 6},
    {"f16-widen", "zmm, 6 rows x 2", hasAVX512, widenF16_512_6x2, 64.0 * 6},
    {"f16-widen", "zmm, 12 rows x 2", hasAVX512, widenF16_512_12x2, 64.0 * 12},
    {"f16-widen", "ymm, 4 rows x 2", hasF16C, widenF16_256_4x2, 32.0 * 4},
    {"f16-widen", "ymm, 6 rows x 2", hasF16C, widenF16_256_6x2, 32.0 * 6},
    {"bf16-pairs", "zmm, 8 sums", hasPairs, pairs512x8, 64.0 * 8},
    {"bf16-pairs", "zmm, 12 sums", hasPairs, pairs512x12, 64.0 * 12},
    {"bf16-pairs", "zmm, 24 sums", hasPairs, pairs512x24, 64.0 * 24},
};
const int floatLoopCount = sizeof floatLoops / sizeof *floatLoops;
