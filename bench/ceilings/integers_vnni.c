//===- integers_vnni.c - Loops of integer products by VPDPBUSD ------------===//
//
// Part of moe-mlir. One iteration is one group of 32 along K, of `rows` rows by
// `cols` vectors of columns: an integer sum begins as the row's compensation
// (weights are stored with an offset, to be unsigned), takes eight VPDPBUSD,
// becomes f32, and joins the f32 sum times both scales.
//
//===----------------------------------------------------------------------===//

#include "loops.h"

#define PRODUCTS(weights)                                                      \
  UNROLL for (int r = 0; r < ROWS; r++) sum[r][c] =                            \
      DPBUSD(sum[r][c], weights, x);

// Two lines of weights, four bytes of K each; w is what a register loads.
#define LINES_INT8                                                             \
  HIDE(w);                                                                     \
  PRODUCTS(w);                                                                 \
  HIDE(w);                                                                     \
  PRODUCTS(w);
#define LINES_INT4                                                             \
  HIDE(w);                                                                     \
  I low = AND(w, nibble);                                                      \
  PRODUCTS(low);                                                               \
  I high = AND(SHIFT(w, 4), nibble);                                           \
  PRODUCTS(high);
#define LINES_INT4_AFFINE                                                      \
  HIDE(w);                                                                     \
  I low = AND(w, nibble);                                                      \
  PRODUCTS(low);                                                               \
  I high = AFFINE(w, matrix, 0);                                               \
  PRODUCTS(high);
// E2M1 doubled is an integer up to 12, looked up with an offset of 12.
#define LINES_MXFP4                                                            \
  HIDE(w);                                                                     \
  I low = LOOKUP(table, AND(w, nibble));                                       \
  PRODUCTS(low);                                                               \
  I high = LOOKUP(table, AND(SHIFT(w, 4), nibble));                            \
  PRODUCTS(high);

#define SCALE_PRODUCT_FIRST(total)                                             \
  F both = MUL(columnScale, rowScale);                                         \
  HIDE(rowScale);                                                              \
  f[r][c] = FMADD(total, both, f[r][c]);
#define SCALE_ROW_FIRST(total)                                                 \
  F scaled = MUL(total, rowScale);                                             \
  f[r][c] = FMADD(scaled, columnScale, f[r][c]);

#define TILE(name, features, lines, scale)                                     \
  TARGET(features) static void name(long n) {                                  \
    F f[ROWS][COLS], rowScale = SET1(1e-3f), columnScale = SET1(1e-2f);        \
    I compensation = SET1I32(-384), w = SET1I8(0x31), x = SET1I8(3);           \
    I nibble = SET1I8(15), table = SET1I8(7), matrix = SET1I8(0x10);           \
    HIDE(nibble);                                                              \
    HIDE(matrix);                                                              \
    HIDE(table);                                                               \
    UNROLL for (int i = 0; i < ROWS * COLS; i++) (&f[0][0])[i] =               \
        SET1((float)i);                                                        \
    for (long k = 0; k < n; k++) {                                             \
      I sum[ROWS][COLS];                                                       \
      UNROLL for (int i = 0; i < ROWS * COLS; i++) {                           \
        (&sum[0][0])[i] = compensation;                                        \
        HIDE((&sum[0][0])[i]);                                                 \
      }                                                                        \
      UNROLL for (int q = 0; q < 4; q++)                                       \
        UNROLL for (int c = 0; c < COLS; c++) {                                \
          lines                                                                \
        }                                                                      \
      UNROLL for (int r = 0; r < ROWS; r++)                                    \
        UNROLL for (int c = 0; c < COLS; c++) {                                \
          scale(TOFLOAT(sum[r][c]))                                            \
        }                                                                      \
    }                                                                          \
    UNROLL for (int i = 0; i < ROWS * COLS; i++) HOLD((&f[0][0])[i]);          \
  }

// Of rows and columns with one scale: products alone, which wrap around.
#define SUMS(name, features)                                                   \
  TARGET(features) static void name(long n) {                                  \
    I sum[ROWS][COLS], w = SET1I8(0x31), x = SET1I8(3);                        \
    UNROLL for (int i = 0; i < ROWS * COLS; i++) (&sum[0][0])[i] = SET1I32(i); \
    for (long k = 0; k < n; k++)                                               \
      UNROLL for (int q = 0; q < 8; q++)                                       \
        UNROLL for (int c = 0; c < COLS; c++) {                                \
          HIDE(w);                                                             \
          PRODUCTS(w)                                                          \
        }                                                                      \
    UNROLL for (int i = 0; i < ROWS * COLS; i++) HOLD((&sum[0][0])[i]);        \
  }

// AVX-512.
#define I __m512i
#define F __m512
#define HIDE OPAQUE
#define HOLD KEEP
#define DPBUSD _mm512_dpbusd_epi32
#define AND _mm512_and_si512
#define SHIFT _mm512_srli_epi16
#define LOOKUP _mm512_shuffle_epi8
#define AFFINE _mm512_gf2p8affine_epi64_epi8
#define MUL _mm512_mul_ps
#define FMADD _mm512_fmadd_ps
#define SET1 _mm512_set1_ps
#define SET1I32 _mm512_set1_epi32
#define SET1I8 _mm512_set1_epi8
#define TOFLOAT _mm512_cvtepi32_ps
#define VNNI512 "avx512f,avx512bw,avx512vnni"
#define GFNI512 "avx512f,avx512bw,avx512vnni,gfni"
#define TILES512(size)                                                         \
  TILE(int8_512_##size, VNNI512, LINES_INT8, SCALE_PRODUCT_FIRST)              \
  TILE(int8_512_row_##size, VNNI512, LINES_INT8, SCALE_ROW_FIRST)              \
  TILE(int4_512_##size, VNNI512, LINES_INT4, SCALE_PRODUCT_FIRST)              \
  TILE(int4_512_row_##size, VNNI512, LINES_INT4, SCALE_ROW_FIRST)              \
  TILE(int4_512_affine_##size, GFNI512, LINES_INT4_AFFINE,                     \
       SCALE_PRODUCT_FIRST)                                                    \
  TILE(mxfp4_512_##size, VNNI512, LINES_MXFP4, SCALE_PRODUCT_FIRST)            \
  SUMS(int8_rows_512_##size, VNNI512)
#define ROWS 4
#define COLS 2
TILES512(4x2)
#undef ROWS
#define ROWS 6
TILES512(6x2)
#undef COLS
#define COLS 1
#undef ROWS
#define ROWS 8
TILES512(8x1)
#undef ROWS
#define ROWS 12
TILES512(12x1)

// AVX-VNNI: the same on 8 columns a vector, with 16 registers.
#undef I
#undef F
#undef HIDE
#undef HOLD
#undef DPBUSD
#undef AND
#undef SHIFT
#undef LOOKUP
#undef MUL
#undef FMADD
#undef SET1
#undef SET1I32
#undef SET1I8
#undef TOFLOAT
#define I __m256i
#define F __m256
#define HIDE OPAQUE_X
#define HOLD KEEP_X
#define DPBUSD _mm256_dpbusd_avx_epi32
#define AND _mm256_and_si256
#define SHIFT _mm256_srli_epi16
#define LOOKUP _mm256_shuffle_epi8
#define MUL _mm256_mul_ps
#define FMADD _mm256_fmadd_ps
#define SET1 _mm256_set1_ps
#define SET1I32 _mm256_set1_epi32
#define SET1I8 _mm256_set1_epi8
#define TOFLOAT _mm256_cvtepi32_ps
#define VNNI256 "avx2,fma,avxvnni"
#define TILES256(size)                                                         \
  TILE(int8_256_##size, VNNI256, LINES_INT8, SCALE_PRODUCT_FIRST)              \
  TILE(int4_256_##size, VNNI256, LINES_INT4, SCALE_PRODUCT_FIRST)              \
  TILE(mxfp4_256_##size, VNNI256, LINES_MXFP4, SCALE_PRODUCT_FIRST)            \
  SUMS(int8_rows_256_##size, VNNI256)
#undef ROWS
#define ROWS 4
TILES256(4x1)
#undef ROWS
#define ROWS 6
TILES256(6x1)

static int hasVNNI512(void) {
  return __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vnni");
}
static int hasGFNI512(void) {
  return hasVNNI512() && __builtin_cpu_supports("gfni");
}
static int hasVNNI256(void) {
  return __builtin_cpu_supports("fma") && __builtin_cpu_supports("avxvnni");
}

// 2 operations, 32 along K, 16 or 8 columns a vector.
#define ENTRIES512(rows, cols)                                                 \
  {"int8", "vpdpbusd zmm, " #rows "x" #cols, hasVNNI512,                       \
   int8_512_##rows##x##cols, 1024.0 * rows * cols},                            \
      {"int8", "vpdpbusd zmm, " #rows "x" #cols ", row scale first",           \
       hasVNNI512, int8_512_row_##rows##x##cols, 1024.0 * rows * cols},        \
      {"int4", "vpdpbusd zmm, " #rows "x" #cols, hasVNNI512,                   \
       int4_512_##rows##x##cols, 1024.0 * rows * cols},                        \
      {"int4", "vpdpbusd zmm, " #rows "x" #cols ", row scale first",           \
       hasVNNI512, int4_512_row_##rows##x##cols, 1024.0 * rows * cols},        \
      {"int4", "vpdpbusd zmm, " #rows "x" #cols ", gf2p8affineqb",             \
       hasGFNI512, int4_512_affine_##rows##x##cols, 1024.0 * rows * cols},     \
      {"mxfp4", "vpdpbusd zmm, " #rows "x" #cols, hasVNNI512,                  \
       mxfp4_512_##rows##x##cols, 1024.0 * rows * cols},                       \
      {"int8-rows", "vpdpbusd zmm, " #rows "x" #cols, hasVNNI512,              \
       int8_rows_512_##rows##x##cols, 1024.0 * rows * cols}
#define ENTRIES256(rows, cols)                                                 \
  {"int8", "vpdpbusd ymm, " #rows "x" #cols, hasVNNI256,                       \
   int8_256_##rows##x##cols, 512.0 * rows * cols},                             \
      {"int4", "vpdpbusd ymm, " #rows "x" #cols, hasVNNI256,                   \
       int4_256_##rows##x##cols, 512.0 * rows * cols},                         \
      {"mxfp4", "vpdpbusd ymm, " #rows "x" #cols, hasVNNI256,                  \
       mxfp4_256_##rows##x##cols, 512.0 * rows * cols},                        \
      {"int8-rows", "vpdpbusd ymm, " #rows "x" #cols, hasVNNI256,              \
       int8_rows_256_##rows##x##cols, 512.0 * rows * cols}

const Loop vnniLoops[] = {
    ENTRIES512(4, 2),  ENTRIES512(6, 2), ENTRIES512(8, 1),
    ENTRIES512(12, 1), ENTRIES256(4, 1), ENTRIES256(6, 1),
};
const int vnniLoopCount = sizeof vnniLoops / sizeof *vnniLoops;
