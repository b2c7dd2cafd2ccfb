//===- GroupLines.h - Reads a group of quantised weights --------*- C++ -*-===//
//
// Part of moe-mlir. What tiles of integers and of floats share.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_GROUPLINES_H
#define MOE_LIB_KERNELS_GROUPLINES_H

#include "TileBuilder.h"

namespace moec::kernels {

/// One group of K of a tile's panels, in memory.
struct GroupLines {
  using Value = mlir::Value;

  TileBuilder &tile;
  Emitter &e;
  mlir::lm::QuantisedLayout layout;
  Value bytes;                     // the weight, flat
  Value line;                      // the group's first of a panel
  llvm::SmallVector<Value> starts; // bytes before the group, by panel
  llvm::SmallVector<Value> scales; // bytes before its scales

  GroupLines(TileBuilder &tile, Value group);

  /// Prefetches as many lines of each panel as the group has, and of scales, or
  /// (fetchesEveryLine) the first alone; nothing where there is no lead.
  void prefetch();
  /// Leaves it to fetchLine where every line is fetched and a line's products
  /// have `slots` places for that, or does it.
  void prefetchBesideLines(int64_t slots);
  /// Prefetches for a panel what it takes next in place of the group's `line`;
  /// lines of scales follow the group's own. Nothing where prefetchBesideLines
  /// did.
  void fetchLine(int64_t panel, Value line);
  /// Lines of scales that a panel fetches.
  int64_t fetchedScales() const {
    return layout.spansRow() ? 0 : layout.scaleLines;
  }
  int64_t panelOf(int64_t v) const { return v / tile.vectorsPerPanel(); }
  int64_t laneOf(int64_t v) const {
    return v % tile.vectorsPerPanel() * e.lanes;
  }
  /// Vector v of a line of the group: 4 bytes a lane, as i32.
  Value loadLine(int64_t v, Value line);
  /// The unsigned bytes of quad 0 or 1 of a line, with productBias.
  Value unpack(Value bytes, int64_t quad);
  /// Quads of K in a line.
  int64_t quads() const { return layout.isNibbles() ? 2 : 1; }
  /// A kind of scale (0) or minimum (1) of vector v's lanes, as f32.
  Value loadScales(int64_t v, int64_t kind);

private:
  /// Bytes before what is left to fetchLine, by panel.
  llvm::SmallVector<Value> leftToLines;

  llvm::SmallVector<Value> findFetched();
  void fetchAt(Value start, Value line);
  Value loadBytes(Value start, Value first, int64_t count);
};

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_GROUPLINES_H
