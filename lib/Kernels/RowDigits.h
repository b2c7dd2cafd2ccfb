//===- RowDigits.h - Rows of f32 as digits of a byte ------------*- C++ -*-===//
//
// Part of moe-mlir. A product of f32 with bytes as three exact ones of
// integers, where the target multiplies bytes four at a time: x = scale * (d0 +
// d1 / 254 + d2 / 254^2) with digits of -127 .. 127, off by less than 2^-22 of
// the row's largest number (three roundings of 2^-24: the factor, its product,
// the scale; and what is left behind the third digit). (Splitting into slices:
// Ozaki, Ogita, Oishi, Rump, Error-free transformations of matrix
// multiplication, Numerical Algorithms 59, 2012.)
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ROWDIGITS_H
#define MOE_LIB_KERNELS_ROWDIGITS_H

#include "ISA/DotQuads.h"

namespace moec::kernels {

/// How bytes in fours are multiplied.
inline ByteDot quadsOf(const Target &target) {
  return byteDotOf(target, /*largest=*/255);
}
/// Whether they are, in one instruction: then q8_0 lies in fours.
inline bool multipliesQuads(const Target &target) {
  return quadElements(quadsOf(target)) == 1;
}
/// What was added to them, so that they have no sign.
inline constexpr int64_t kQuadBias = 128;

/// A row of digits in memory: memref<? x elements x i32>, of each digit the
/// row's quads, then what each digit adds to its sums, then the scale (f32).
struct RowDigits {
  using Value = mlir::Value;
  static constexpr int64_t kDigits = 3;

  Emitter &e;
  int64_t columns;
  Value memory, row;

  /// Quads of a digit, to a whole vector of columns.
  static int64_t quads(int64_t columns) {
    return llvm::alignTo(columns, 16) / 4;
  }
  static mlir::MemRefType typeOf(Emitter &e, int64_t rows, int64_t columns);
  static int64_t bytesOf(int64_t rows, int64_t columns) {
    return rows * (kDigits * (quads(columns) + 1) + 1) * 4;
  }

  /// Writes the digits of `load(column, count)`, f32 lanes of which those past
  /// count are 0.
  void store(llvm::function_ref<Value(Value column, int64_t count)> load) const;

  /// The scale, a scalar.
  Value scale() const;
  /// One quad of each digit, in all lanes.
  llvm::SmallVector<Value> load(Value quad) const;
  /// sums[digit] + the products of such a quad with lanes of four bytes, to
  /// which kQuadBias was added.
  llvm::SmallVector<Value> addQuads(mlir::ValueRange sums,
                                    llvm::ArrayRef<Value> quad,
                                    Value bytes) const;
  /// The product, less the scale, of sums over all quads.
  Value join(mlir::ValueRange sums) const;

private:
  int64_t offsetAt(int64_t digit) const {
    return kDigits * quads(columns) + digit;
  }
};

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ROWDIGITS_H
