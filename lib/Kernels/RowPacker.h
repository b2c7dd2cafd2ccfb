//===- RowPacker.h - Rows in the order in which tiles read them -*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ROWPACKER_H
#define MOE_LIB_KERNELS_ROWPACKER_H

#include "Matmul.h"
#include "MatrixTile.h"

namespace moec::kernels {

/// Packs blocks of rows of x for the tiles of a family. Of a block element k of
/// row r is at k * rows + r, but for matrix tiles (packTiles) and records of
/// integers (QuantisedRecord).
struct RowPacker {
  using Value = mlir::Value;
  using Source = llvm::function_ref<Value(Value)>;

  Emitter &e;
  const PackedWeight &weight;
  TileFamily family;
  Value x;
  int64_t columns; // of x
  Value packed;

  /// Elements of one packed row.
  int64_t rowElements() const;
  /// Packs rows source(first), source(first + 1), ... from `offset` on.
  void packBlock(Value first, Value rows, Value offset, Source source);

private:
  /// Columns of a packed row that are filled one by one; those of blocks behind
  /// them by clearPadding.
  int64_t filledColumns() const {
    return family.isDequantised() ? columns
                                  : rowElements() * family.stepsPerElement();
  }
  void packSingleRow(Value source, Value offset);
  void packInterleaved(Value source, Value offset, Value lane, Value rows,
                       int64_t firstColumn);
  void packTransposed(Value first, Value rows, Value offset, Source source);
  void clearPadding(Value rows, Value offset);
  void packTiles(Value first, Value rows, Value offset, Source source);
};

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ROWPACKER_H
