//===- Matmul.h - Rows times a panel-packed weight --------------*- C++ -*-===//
//
// Part of moe-mlir. The one builder behind linear, gated_linear,
// grouped_matmul and the projection of route.
//
// How it runs, for one matrix, a run of rows and a range of panels:
//
//   for each superblock of rows that stays in cache            (packed once)
//     for each group of panels                                 (streams B)
//       for each row block of 1..MR rows, all of nearly one size
//         micro-kernel (R rows x P panels, whole K) -> f32 tile in scratch
//         epilogue: tile -> output rows
//
// Every row count has a micro-kernel of its own; none computes a padded row.
// All of them accumulate one product in K order in one accumulator, so that a
// row's bits do not depend on its neighbours. Matrix tiles (MatrixTile.h) serve
// all row counts, 32 K at a time in one order.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_MATMUL_H
#define MOE_LIB_KERNELS_MATMUL_H

#include "MicroKernel.h"

namespace moec::kernels {

/// A packed weight as a kernel sees it: memref<ExPxLxW>, W elements of a line.
struct PackedWeight {
  mlir::Value buffer;
  int64_t experts, panels, lines;
  mlir::lm::Format format;

  /// `format` is that of bytes; floats say themselves what they are.
  static PackedWeight of(mlir::Value buffer,
                         std::optional<mlir::lm::Format> format = {});
  /// Of an op that multiplies by a weight.
  template <typename Op> static PackedWeight of(Op op) {
    return of(op.getWeight(), op.getWeightFormat());
  }
  /// 4-byte elements of a packed row, padding included; for rows of floats as
  /// many as the recipe of f32 needs.
  int64_t rowElements(const Target &target) const;
};

/// The tiles that multiply rows of x by a weight.
TileFamily familyOf(const PackedWeight &weight, mlir::Value x,
                    const Target &target);

/// Bytes of scratch that `emitMatmul` needs a thread.
int64_t matmulScratchBytes(const Target &target, const PackedWeight &weight);

/// What to do with a finished tile.
struct TileWriter {
  /// Columns of the output (N, or N/2 when paired).
  int64_t columns;
  /// Gate and up panels alternate; one output panel for each pair.
  bool paired = false;
  /// Combines one vector of accumulators (and its partner, when paired) of an
  /// output row. `column` is the output column of lane 0, `mask` marks valid
  /// columns or is null if all are.
  llvm::function_ref<mlir::Value(mlir::Value acc, mlir::Value up,
                                 mlir::Value row, mlir::Value column,
                                 mlir::Value mask)>
      combine;
  /// Stores a vector to the output row `row` (counted as emitMatmul's rows).
  llvm::function_ref<void(mlir::Value vector, mlir::Value row,
                          mlir::Value column, mlir::Value mask)>
      store;
  /// Fetches for writing what a pair of panels stores to a row, from `column`
  /// on.
  llvm::function_ref<void(mlir::Value row, mlir::Value column)> fetch = nullptr;
};

/// Emits out[r, :] = x[source(r), :] * W[expert]^T for rows [first, last) and
/// pairs of panels [firstPair, lastPair). `source` maps a row to a row of x.
void emitMatmul(Emitter &e, mlir::ModuleOp module, const PackedWeight &weight,
                mlir::Value expert, mlir::Value x, mlir::Value first,
                mlir::Value last, mlir::Value firstPair, mlir::Value lastPair,
                llvm::function_ref<mlir::Value(mlir::Value row)> source,
                mlir::Value scratch, const TileWriter &writer);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_MATMUL_H
