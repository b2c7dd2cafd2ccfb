//===- QuantisedRows.h - Rows as integer products read them -----*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_QUANTISEDROWS_H
#define MOE_LIB_KERNELS_QUANTISEDROWS_H

#include "ISA/DotQuads.h"
#include "dialects/LM/IR/WeightFormat.h"

namespace moec::kernels {

/// What is added to a format's integers so that products can take them: of a
/// table, its largest value. 0 where products take bytes with a sign, for which
/// those of 8 bits give back what was added when they were stored.
int64_t productBias(const Target &target,
                    const mlir::lm::QuantisedLayout &layout);
/// The largest integer that they have then.
int64_t largestInteger(const mlir::lm::QuantisedLayout &layout);

/// How integers of a format are multiplied.
ByteDot byteDotOf(const Target &target, mlir::lm::Format format);

/// How packed rows lie in memory, for a block of rows: record after record of
/// i32 elements, one record a group of K. In a record element i of row r is at
/// i * rows + r: the group's integers (32 / 4 * quadElements elements), its
/// scale (f32), and what a row adds to each of its sums: -bias * sum of the
/// integers, of narrow sums that of each half in its half, or for formats with
/// a minimum scale * sum (f32). Of a format with one scale a row records have
/// integers only, and behind the last come scale and offset: in the record
/// after the last. For matrix tiles each row's integers lie together: element i
/// of row r is at r * quads + i.
struct QuantisedRecord {
  int64_t quads, elements, scale;

  static QuantisedRecord of(const Target &target, mlir::lm::Format format);
  int64_t scaleAt() const { return scale; }
  int64_t offsetAt() const { return scale + 1; }
  /// Elements of a row of some groups.
  int64_t rowElements(int64_t groups) const {
    return groups * elements + (hasScale() ? 0 : 2);
  }
  bool hasScale() const { return elements > quads; }
};

/// 1.5 * 2^23: a sum with it has an integer in its low bits, rounded.
inline constexpr double kRounder = 12582912;
inline constexpr int64_t kRounderBits = 0x4b400000;

/// The largest magnitudes as bits, among which infinity and NaN come last, of
/// each lane; `most` are those of columns before, if any.
mlir::Value emitLargestBits(Emitter &e, llvm::ArrayRef<mlir::Value> x,
                            mlir::Value most);

/// What brings numbers to -127 .. 127, and what those are multiplied by.
struct RowScale {
  mlir::Value factor; ///< in all lanes
  mlir::Value scale;  ///< a scalar, 1 / `fraction` of it
};
/// By the largest magnitudes of each lane.
RowScale emitRowScale(Emitter &e, mlir::Value largest, int64_t fraction);

/// Quantises columns [0, columns) of row `source` of x (f32, bf16 or f16) and
/// stores its `groups` groups as row `lane` of `rows` in the records that start
/// at `offset`; `inTiles`: as matrix tiles read them. Groups behind the last
/// column are zeros. Fetches row `next`.
void emitQuantisedRow(Emitter &e, mlir::lm::Format format, mlir::Value x,
                      mlir::Value source, mlir::Value next, int64_t columns,
                      int64_t groups, mlir::Value packed, mlir::Value offset,
                      mlir::Value lane, mlir::Value rows, bool inTiles);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_QUANTISEDROWS_H
