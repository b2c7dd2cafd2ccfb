//===- integers_avx2.c - Loops of exact integer products on AVX2 ----------===//
//
// Part of moe-mlir. One iteration is one group of 32 along K, of `rows` rows by
// `cols` vectors of 8 columns, scales included. Without VPDPBUSD a product of
// bytes passes through 16 bits, where no sum may saturate:
//   sign:   |w| * sign(x, w), two products <= 2 * 127 * 127, widened at once
//   widen:  w and x as 16 bits, VPMADDWD (rows are stored as 16 bits)
//   halves: w = 16 * high + low; 15 * 127 * 16 products fit in 16 bits, so that
//           a whole group is summed there
// int4 is one such half; of mxfp4's doubled values, offset to 0..24, half a
// group fits, or a whole one whose sum starts with what takes back the offset.
//
//===----------------------------------------------------------------------===//

#include "loops.h"

typedef __m256i I;
typedef __m256 F;
#define AVX2 TARGET("avx2,fma")
#define HIDE OPAQUE_X

#define BEGIN(rows, cols)                                                      \
  F f[rows][cols], rowScale = _mm256_set1_ps(1e-3f);                           \
  F columnScale = _mm256_set1_ps(1e-2f);                                       \
  I w = _mm256_set1_epi8(0x31), x = _mm256_set1_epi8(3);                       \
  I one = _mm256_set1_epi16(1), nibble = _mm256_set1_epi8(15);                 \
  I compensation = _mm256_set1_epi32(-384);                                    \
  I table = _mm256_set1_epi8(7);                                               \
  HIDE(one);                                                                   \
  HIDE(nibble);                                                                \
  HIDE(compensation);                                                          \
  HIDE(table);                                                                 \
  UNROLL for (int i = 0; i < rows * cols; i++) (&f[0][0])[i] =                 \
      _mm256_set1_ps((float)i);
#define END(rows, cols)                                                        \
  UNROLL for (int i = 0; i < rows * cols; i++) KEEP_X((&f[0][0])[i]);          \
  (void)nibble, (void)table, (void)compensation;

// f += total * (column scale * row scale)
#define JOIN(r, c, total)                                                      \
  {                                                                            \
    F both = _mm256_mul_ps(columnScale, rowScale);                             \
    HIDE(rowScale);                                                            \
    f[r][c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(total), both, f[r][c]);       \
  }
#define ZERO(sum, count)                                                       \
  UNROLL for (int i = 0; i < count; i++) {                                     \
    (&sum[0][0])[i] = _mm256_setzero_si256();                                  \
    HIDE((&sum[0][0])[i]);                                                     \
  }

#define INT8_SIGN(rows, cols)                                                  \
  AVX2 static void int8_sign_##rows##x##cols(long n) {                         \
    BEGIN(rows, cols)                                                          \
    for (long k = 0; k < n; k++) {                                             \
      I sum[rows][cols];                                                       \
      ZERO(sum, rows *cols)                                                    \
      UNROLL for (int q = 0; q < 8; q++)                                       \
        UNROLL for (int c = 0; c < cols; c++) {                                \
          HIDE(w);                                                             \
          I size = _mm256_abs_epi8(w);                                         \
          UNROLL for (int r = 0; r < rows; r++) {                              \
            HIDE(x);                                                           \
            I pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(x, w));      \
            sum[r][c] = _mm256_add_epi32(sum[r][c],                            \
                                         _mm256_madd_epi16(pairs, one));       \
          }                                                                    \
        }                                                                      \
      UNROLL for (int r = 0; r < rows; r++)                                    \
        UNROLL for (int c = 0; c < cols; c++) JOIN(r, c, sum[r][c])            \
    }                                                                          \
    END(rows, cols)                                                            \
  }

// Adds a group's products of 16 bits.
#define WIDENED_PRODUCTS(rows, cols)                                           \
  UNROLL for (int q = 0; q < 16; q++)                                          \
    UNROLL for (int c = 0; c < cols; c++) {                                    \
      __m128i half = _mm256_castsi256_si128(w);                                \
      HIDE(half);                                                              \
      I wide = _mm256_cvtepi8_epi16(half);                                     \
      UNROLL for (int r = 0; r < rows; r++) {                                  \
        HIDE(x);                                                               \
        sum[r][c] = _mm256_add_epi32(sum[r][c],                                \
                                     _mm256_madd_epi16(wide, x));              \
      }                                                                        \
    }

#define INT8_WIDEN(rows, cols)                                                 \
  AVX2 static void int8_widen_##rows##x##cols(long n) {                        \
    BEGIN(rows, cols)                                                          \
    for (long k = 0; k < n; k++) {                                             \
      I sum[rows][cols];                                                       \
      ZERO(sum, rows *cols)                                                    \
      WIDENED_PRODUCTS(rows, cols)                                             \
      UNROLL for (int r = 0; r < rows; r++)                                    \
        UNROLL for (int c = 0; c < cols; c++) JOIN(r, c, sum[r][c])            \
    }                                                                          \
    END(rows, cols)                                                            \
  }

// Of rows and columns with one scale: products alone, which wrap around.
#define INT8_ROWS(rows, cols)                                                  \
  AVX2 static void int8_rows_##rows##x##cols(long n) {                         \
    I sum[rows][cols], w = _mm256_set1_epi8(0x31), x = _mm256_set1_epi8(3);    \
    ZERO(sum, rows *cols)                                                      \
    for (long k = 0; k < n; k++)                                               \
      WIDENED_PRODUCTS(rows, cols)                                             \
    UNROLL for (int i = 0; i < rows * cols; i++) KEEP_X((&sum[0][0])[i]);      \
  }

#define INT8_HALVES(rows)                                                      \
  AVX2 static void int8_halves_##rows##x1(long n) {                            \
    BEGIN(rows, 1)                                                             \
    for (long k = 0; k < n; k++) {                                             \
      I low[rows][1], high[rows][1];                                           \
      ZERO(low, rows)                                                          \
      ZERO(high, rows)                                                         \
      UNROLL for (int q = 0; q < 8; q++) {                                     \
        HIDE(w);                                                               \
        I l = _mm256_and_si256(w, nibble);                                     \
        I h = _mm256_and_si256(_mm256_srli_epi16(w, 4), nibble);               \
        UNROLL for (int r = 0; r < rows; r++) {                                \
          HIDE(x);                                                             \
          low[r][0] =                                                          \
              _mm256_add_epi16(low[r][0], _mm256_maddubs_epi16(l, x));         \
          high[r][0] =                                                         \
              _mm256_add_epi16(high[r][0], _mm256_maddubs_epi16(h, x));        \
        }                                                                      \
      }                                                                        \
      I sixteen = _mm256_slli_epi16(one, 4);                                   \
      UNROLL for (int r = 0; r < rows; r++) {                                  \
        I total = _mm256_add_epi32(_mm256_madd_epi16(low[r][0], one),          \
                                   _mm256_madd_epi16(high[r][0], sixteen));    \
        total = _mm256_add_epi32(total, compensation);                         \
        JOIN(r, 0, total)                                                      \
      }                                                                        \
    }                                                                          \
    END(rows, 1)                                                               \
  }

// Products of two lines with the weights l and h, summed in 16 bits.
#define LINES16(rows, cols)                                                    \
  UNROLL for (int r = 0; r < rows; r++) {                                      \
    HIDE(x);                                                                   \
    sum[r][c] = _mm256_add_epi16(sum[r][c], _mm256_maddubs_epi16(l, x));       \
    HIDE(x);                                                                   \
    sum[r][c] = _mm256_add_epi16(sum[r][c], _mm256_maddubs_epi16(h, x));       \
  }

#define INT4(name, LINES, rows, cols)                                          \
  AVX2 static void name##_##rows##x##cols(long n) {                            \
    BEGIN(rows, cols)                                                          \
    for (long k = 0; k < n; k++) {                                             \
      I sum[rows][cols];                                                       \
      ZERO(sum, rows *cols)                                                    \
      LINES for (int q = 0; q < 4; q++)                                        \
        UNROLL for (int c = 0; c < cols; c++) {                                \
          HIDE(w);                                                             \
          I l = _mm256_and_si256(w, nibble);                                   \
          I h = _mm256_and_si256(_mm256_srli_epi16(w, 4), nibble);             \
          LINES16(rows, cols)                                                  \
        }                                                                      \
      UNROLL for (int r = 0; r < rows; r++)                                    \
        UNROLL for (int c = 0; c < cols; c++) {                                \
          I total = _mm256_madd_epi16(sum[r][c], one);                         \
          total = _mm256_add_epi32(total, compensation);                       \
          JOIN(r, c, total)                                                    \
        }                                                                      \
    }                                                                          \
    END(rows, cols)                                                            \
  }
// The compensation in 16 bits, where sums start: they wrap around and end
// within 16 bits, since weights less their offset are small. CODES: what
// becomes of nibbles.
#define WRAPPED(name, LINES, CODES, rows, cols)                                \
  AVX2 static void name##_##rows##x##cols(long n) {                            \
    BEGIN(rows, cols)                                                          \
    for (long k = 0; k < n; k++) {                                             \
      I sum[rows][cols];                                                       \
      UNROLL for (int i = 0; i < rows * cols; i++) {                           \
        (&sum[0][0])[i] = compensation;                                        \
        HIDE((&sum[0][0])[i]);                                                 \
      }                                                                        \
      LINES for (int q = 0; q < 4; q++)                                        \
        UNROLL for (int c = 0; c < cols; c++) {                                \
          HIDE(w);                                                             \
          I l = CODES(_mm256_and_si256(w, nibble));                            \
          I h = CODES(_mm256_and_si256(_mm256_srli_epi16(w, 4), nibble));      \
          LINES16(rows, cols)                                                  \
        }                                                                      \
      UNROLL for (int r = 0; r < rows; r++)                                    \
        UNROLL for (int c = 0; c < cols; c++)                                  \
          JOIN(r, c, _mm256_madd_epi16(sum[r][c], one))                        \
    }                                                                          \
    END(rows, cols)                                                            \
  }
#define AS_THEY_ARE(nibbles) nibbles
#define LOOKED_UP(nibbles) _mm256_shuffle_epi8(table, nibbles)
// The compensation as f32, in the fma with the row's scale.
#define INT4_FLOAT(rows, cols)                                                 \
  AVX2 static void int4_float_##rows##x##cols(long n) {                        \
    BEGIN(rows, cols)                                                          \
    F offset = _mm256_set1_ps(-0.384f);                                        \
    for (long k = 0; k < n; k++) {                                             \
      I sum[rows][cols];                                                       \
      ZERO(sum, rows *cols)                                                    \
      UNROLL for (int q = 0; q < 4; q++)                                       \
        UNROLL for (int c = 0; c < cols; c++) {                                \
          HIDE(w);                                                             \
          I l = _mm256_and_si256(w, nibble);                                   \
          I h = _mm256_and_si256(_mm256_srli_epi16(w, 4), nibble);             \
          LINES16(rows, cols)                                                  \
        }                                                                      \
      UNROLL for (int r = 0; r < rows; r++)                                    \
        UNROLL for (int c = 0; c < cols; c++) {                                \
          F total = _mm256_cvtepi32_ps(_mm256_madd_epi16(sum[r][c], one));     \
          total = _mm256_fmadd_ps(total, rowScale, offset);                    \
          f[r][c] = _mm256_fmadd_ps(total, columnScale, f[r][c]);              \
        }                                                                      \
    }                                                                          \
    END(rows, cols)                                                            \
  }

#define MXFP4(name, LINES, rows, cols)                                         \
  AVX2 static void name##_##rows##x##cols(long n) {                            \
    BEGIN(rows, cols)                                                          \
    for (long k = 0; k < n; k++) {                                             \
      I whole[rows][cols];                                                     \
      UNROLL for (int half = 0; half < 2; half++) {                            \
        I sum[rows][cols];                                                     \
        ZERO(sum, rows *cols)                                                  \
        LINES for (int q = 0; q < 2; q++)                                      \
          UNROLL for (int c = 0; c < cols; c++) {                              \
            HIDE(w);                                                           \
            I l = _mm256_shuffle_epi8(table, _mm256_and_si256(w, nibble));     \
            I h = _mm256_shuffle_epi8(                                         \
                table, _mm256_and_si256(_mm256_srli_epi16(w, 4), nibble));     \
            LINES16(rows, cols)                                                \
          }                                                                    \
        UNROLL for (int r = 0; r < rows; r++)                                  \
          UNROLL for (int c = 0; c < cols; c++) {                              \
            I wide = _mm256_madd_epi16(sum[r][c], one);                        \
            whole[r][c] = _mm256_add_epi32(                                    \
                half ? whole[r][c] : compensation, wide);                      \
          }                                                                    \
      }                                                                        \
      UNROLL for (int r = 0; r < rows; r++)                                    \
        UNROLL for (int c = 0; c < cols; c++) JOIN(r, c, whole[r][c])          \
    }                                                                          \
    END(rows, cols)                                                            \
  }

INT8_SIGN(2, 1) INT8_SIGN(3, 1) INT8_SIGN(4, 1)
INT8_WIDEN(3, 1) INT8_WIDEN(4, 1) INT8_WIDEN(5, 1) INT8_WIDEN(2, 2)
INT8_ROWS(4, 1) INT8_ROWS(6, 1) INT8_ROWS(3, 2)
INT8_ROWS(4, 2)
INT8_HALVES(1) INT8_HALVES(2)
INT4(int4, UNROLL, 2, 1) INT4(int4, UNROLL, 3, 1) INT4(int4, UNROLL, 4, 1)
INT4(int4_rolled, ROLL, 3, 1) INT4(int4_rolled, ROLL, 4, 1)
INT4(int4_rolled, ROLL, 5, 1) INT4(int4_rolled, ROLL, 6, 1)
INT4(int4_rolled, ROLL, 2, 2)
WRAPPED(int4_wrapped, UNROLL, AS_THEY_ARE, 3, 1)
WRAPPED(int4_wrapped_rolled, ROLL, AS_THEY_ARE, 3, 1)
WRAPPED(int4_wrapped_rolled, ROLL, AS_THEY_ARE, 4, 1)
WRAPPED(int4_wrapped_rolled, ROLL, AS_THEY_ARE, 5, 1)
WRAPPED(int4_wrapped_rolled, ROLL, AS_THEY_ARE, 2, 2)
WRAPPED(int4_wrapped_rolled, ROLL, AS_THEY_ARE, 4, 2)
WRAPPED(mxfp4_wrapped, UNROLL, LOOKED_UP, 3, 1)
WRAPPED(mxfp4_wrapped_rolled, ROLL, LOOKED_UP, 3, 1)
WRAPPED(mxfp4_wrapped_rolled, ROLL, LOOKED_UP, 4, 1)
WRAPPED(mxfp4_wrapped_rolled, ROLL, LOOKED_UP, 5, 1)
WRAPPED(mxfp4_wrapped_rolled, ROLL, LOOKED_UP, 2, 2)
WRAPPED(mxfp4_wrapped_rolled, ROLL, LOOKED_UP, 4, 2)
INT4_FLOAT(3, 1) INT4_FLOAT(4, 1) INT4_FLOAT(5, 1) INT4_FLOAT(2, 2)
MXFP4(mxfp4, UNROLL, 2, 1) MXFP4(mxfp4, UNROLL, 3, 1)
MXFP4(mxfp4_rolled, ROLL, 2, 1) MXFP4(mxfp4_rolled, ROLL, 3, 1)
MXFP4(mxfp4_rolled, ROLL, 4, 1) MXFP4(mxfp4_rolled, ROLL, 5, 1)
MXFP4(mxfp4_rolled, ROLL, 6, 1)

static int hasAVX2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#define ENTRY(recipe, text, function, rows, cols)                              \
  {recipe, "ymm, " text ", " #rows "x" #cols, hasAVX2,                         \
   function##_##rows##x##cols, 512.0 * rows * cols}
const Loop avx2IntegerLoops[] = {
    ENTRY("int8", "sign", int8_sign, 2, 1),
    ENTRY("int8", "sign", int8_sign, 3, 1),
    ENTRY("int8", "sign", int8_sign, 4, 1),
    ENTRY("int8", "widen", int8_widen, 3, 1),
    ENTRY("int8", "widen", int8_widen, 4, 1),
    ENTRY("int8", "widen", int8_widen, 5, 1),
    ENTRY("int8", "widen", int8_widen, 2, 2),
    ENTRY("int8-rows", "widen", int8_rows, 4, 1),
    ENTRY("int8-rows", "widen", int8_rows, 6, 1),
    ENTRY("int8-rows", "widen", int8_rows, 3, 2),
    ENTRY("int8-rows", "widen", int8_rows, 4, 2),
    ENTRY("int8", "halves", int8_halves, 1, 1),
    ENTRY("int8", "halves", int8_halves, 2, 1),
    ENTRY("int4", "sums of 16 bits", int4, 2, 1),
    ENTRY("int4", "sums of 16 bits", int4, 3, 1),
    ENTRY("int4", "sums of 16 bits", int4, 4, 1),
    ENTRY("int4", "sums of 16 bits, lines in a loop", int4_rolled, 3, 1),
    ENTRY("int4", "sums of 16 bits, lines in a loop", int4_rolled, 4, 1),
    ENTRY("int4", "sums of 16 bits, lines in a loop", int4_rolled, 5, 1),
    ENTRY("int4", "sums of 16 bits, lines in a loop", int4_rolled, 6, 1),
    ENTRY("int4", "sums of 16 bits, lines in a loop", int4_rolled, 2, 2),
    ENTRY("int4", "offset in 16 bits", int4_wrapped, 3, 1),
    ENTRY("int4", "offset in 16 bits, lines in a loop", int4_wrapped_rolled,
          3, 1),
    ENTRY("int4", "offset in 16 bits, lines in a loop", int4_wrapped_rolled,
          4, 1),
    ENTRY("int4", "offset in 16 bits, lines in a loop", int4_wrapped_rolled,
          5, 1),
    ENTRY("int4", "offset in 16 bits, lines in a loop", int4_wrapped_rolled,
          2, 2),
    ENTRY("int4", "offset in 16 bits, lines in a loop", int4_wrapped_rolled,
          4, 2),
    ENTRY("int4", "sums of 16 bits, f32 offset", int4_float, 3, 1),
    ENTRY("int4", "sums of 16 bits, f32 offset", int4_float, 4, 1),
    ENTRY("int4", "sums of 16 bits, f32 offset", int4_float, 5, 1),
    ENTRY("int4", "sums of 16 bits, f32 offset", int4_float, 2, 2),
    ENTRY("mxfp4", "offset in 16 bits", mxfp4_wrapped, 3, 1),
    ENTRY("mxfp4", "offset in 16 bits, lines in a loop",
          mxfp4_wrapped_rolled, 3, 1),
    ENTRY("mxfp4", "offset in 16 bits, lines in a loop",
          mxfp4_wrapped_rolled, 4, 1),
    ENTRY("mxfp4", "offset in 16 bits, lines in a loop",
          mxfp4_wrapped_rolled, 5, 1),
    ENTRY("mxfp4", "offset in 16 bits, lines in a loop",
          mxfp4_wrapped_rolled, 2, 2),
    ENTRY("mxfp4", "offset in 16 bits, lines in a loop",
          mxfp4_wrapped_rolled, 4, 2),
    ENTRY("mxfp4", "half groups in 16 bits", mxfp4, 2, 1),
    ENTRY("mxfp4", "half groups in 16 bits", mxfp4, 3, 1),
    ENTRY("mxfp4", "half groups in 16 bits, lines in a loop", mxfp4_rolled, 2,
          1),
    ENTRY("mxfp4", "half groups in 16 bits, lines in a loop", mxfp4_rolled, 3,
          1),
    ENTRY("mxfp4", "half groups in 16 bits, lines in a loop", mxfp4_rolled, 4,
          1),
    ENTRY("mxfp4", "half groups in 16 bits, lines in a loop", mxfp4_rolled, 5,
          1),
    ENTRY("mxfp4", "half groups in 16 bits, lines in a loop", mxfp4_rolled, 6,
          1),
};
const int avx2IntegerLoopCount =
    sizeof avx2IntegerLoops / sizeof *avx2IntegerLoops;
