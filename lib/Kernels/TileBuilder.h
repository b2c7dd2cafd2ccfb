//===- TileBuilder.h - The body of one register tile ------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_TILEBUILDER_H
#define MOE_LIB_KERNELS_TILEBUILDER_H

#include "MicroKernel.h"

namespace moec::kernels {

/// Builds one register tile.
struct TileBuilder {
  using Value = mlir::Value;

  Emitter &e;
  const TileFamily &family;
  int64_t rows, panels;
  bool asStream; // as of fetchesAsStream
  Value a, aOffset, bLines, line, lines, stride;
  Value ahead[2], shift, wrap;

  /// `args`: those of a tile function.
  static TileBuilder of(Emitter &e, const TileFamily &family, int64_t rows,
                        int64_t panels, bool asStream, mlir::ValueRange args);

  int64_t vectorsPerPanel() const { return 16 / e.lanes; }
  int64_t vectors() const { return panels * vectorsPerPanel(); }
  bool halfWidth() const { return family.format != mlir::lm::Format::F32; }
  int64_t steps() const { return family.stepsPerLine(); }
  /// Whether the elements of all rows wait for one vector of weights after the
  /// other, and not the line's weights for one row after the other.
  bool isByVector() const;

  int64_t runSteps() const { return runOf(e.target, family, rows, asStream); }
  /// Lines ahead that it fetches; none in runs, which the machine's prefetcher
  /// follows by itself.
  int64_t lead() const {
    return runSteps() ? 0 : leadOf(e.target, family, asStream);
  }
  /// The tile of one of the panels, which fetches nothing.
  TileBuilder ofPanel(int64_t panel);
  /// Sums of all of K: of row r and vector v the (r * vectors() + v)-th.
  llvm::SmallVector<Value> multiply();
  /// Adds K step k.
  llvm::SmallVector<Value> addStep(Value k, mlir::ValueRange acc);
  /// Adds the steps first .. last - 1.
  llvm::SmallVector<Value> sumSteps(Value first, Value last,
                                    mlir::ValueRange acc);
  /// Adds all steps, runSteps() of one panel and then as many of the next.
  llvm::SmallVector<Value> sumInRuns(Value steps, mlir::ValueRange acc);

  Value panelLine(int64_t panel, Value k) {
    Value base = panel ? e.add(line, e.mul(stride, panel)) : line;
    return e.add(base, k);
  }
  /// Element `element` + row of the packed rows, in all lanes.
  Value broadcastRow(int64_t row, Value element);
  /// The line of B that a panel fetches at its k-th; `lead` as of leadOf.
  Value fetchedLine(int64_t panel, Value k, int64_t lead);
  void prefetchPanel(int64_t panel, Value k);
  void prefetch(Value k);
  /// A line's fetches lie between its products, each behind a part of them: of
  /// `slots` places, a panel takes one (docs/design.md, "Prefetch"). Fewer
  /// places than panels have it all in front.
  bool fetchesBetween(int64_t slots) const { return slots >= panels; }
  bool fetchesBehind(int64_t slot, int64_t slots, int64_t panel) const {
    return fetchesBetween(slots) && slot + 1 == (panel + 1) * slots / panels;
  }

  // Floats, a line at a time.

  /// The two K steps of a line of 16-bit elements (or the one of f32), as f32
  /// vectors, for vector v of the tile.
  llvm::SmallVector<Value> loadSteps(int64_t v, Value k);
  Value loadPairs(int64_t v, Value k);
  /// Whether a line of bf16 is read once more for its odd elements, since it
  /// would take one register too many to keep it. Stored and loaded by LLVM
  /// instead, with a prefetch beside, six rows reach 60 % of the f32 peak and
  /// not 97 (Zen 3, rows and panel in the first-level cache).
  bool readsAgain() const;
  /// The odd elements of vector v of the tile, read anew.
  Value loadOddAgain(int64_t v, Value k);
  llvm::SmallVector<Value> accumulate(Value k, mlir::ValueRange acc);

  /// Sums of all lines, where the family takesBlocks (PairBlocks.cpp).
  llvm::SmallVector<Value> multiplyBlocks();

  // Quantised formats, a group at a time: rows of integers (QuantisedTile.cpp)
  // or of floats (DequantisedTile.cpp).

  Value countGroups();
  /// Vectors whose sums stay in registers for a group; with 16 registers those
  /// of the others wait in memory meanwhile, unless the family holdsPanel, but
  /// for one row's: a line is then read once (Zen 3, T=1: int4_nl 12 % faster,
  /// mxfp4 5, int8 0 to 4). Streams are read line by line.
  int64_t vectorsAtOnce() const {
    bool areAll =
        e.target.registers >= 32 || family.holdsPanel(e.target) ||
        ((rows == 1 || panels > 1) && family.recipe == Recipe::GroupSums &&
         !e.target.isAArch64()); // there not measured
    return areAll ? vectors() : 1;
  }
  llvm::SmallVector<Value> accumulateGroup(Value group, mlir::ValueRange acc);
  llvm::SmallVector<Value> sumWholeRows();
  llvm::SmallVector<Value> accumulateDequantised(Value group,
                                                 mlir::ValueRange acc);
};

/// A private function with a tile's arguments, its body opened in `b`;
/// `asks`: with the number of rows before them.
mlir::func::FuncOp beginTileFunction(mlir::OpBuilder &b, mlir::ModuleOp module,
                                     llvm::StringRef name,
                                     const TileFamily &family, bool asks);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_TILEBUILDER_H
