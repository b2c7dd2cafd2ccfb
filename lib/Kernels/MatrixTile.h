//===- MatrixTile.h - Tiles of rows and panels in AMX's registers -*- C++ -*-=//
//
// Part of moe-mlir. A panel's 16 lines of 64 bytes are a tile as they lie. Up
// to 16 rows take one tile, up to 32 two; beside them lie two panels, or one of
// each of four streams.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_MATRIXTILE_H
#define MOE_LIB_KERNELS_MATRIXTILE_H

#include "MicroKernel.h"

namespace moec::kernels {

/// Rows of the largest block, in two tiles.
inline constexpr int64_t kMatrixRows = 32;
/// Rows from which on integers take matrix tiles: fewer cost less than the way
/// of a tile's sums through memory (an estimate; it has not been measured).
inline constexpr int64_t kMatrixLeast = 16;
/// Lines of a panel in one tile; a packed row of pairs is whole tiles long.
inline constexpr int64_t kMatrixLines = 16;

/// f32 elements of a thread's memory for finished tiles and what they need.
int64_t matrixTileElements(const Target &target);

/// Configures this thread's registers for blocks of `count` rows. Of more than
/// kMatrixRows, whole tiles: those of a last block compute rows that nothing
/// reads. `memory` has matrixTileElements.
void emitMatrixConfiguration(Emitter &e, const TileFamily &family,
                             mlir::Value memory, mlir::Value count);
void emitMatrixRelease(Emitter &e);

/// getTileDispatch of a family that isMatrix; C starts a thread's memory, as
/// configured.
mlir::func::FuncOp getMatrixDispatch(mlir::ModuleOp module,
                                     const Target &target,
                                     const TileFamily &family, bool inStreams);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_MATRIXTILE_H
