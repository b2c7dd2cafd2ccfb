//===- MicroKernel.h - Register tiles: R rows x P panels --------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_MICROKERNEL_H
#define MOE_LIB_KERNELS_MICROKERNEL_H

#include "Emitter.h"
#include "dialects/LM/IR/WeightFormat.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec::kernels {

/// Rows of the tile by BFMMLA (PairBlocks.cpp), the largest of its family. The
/// instruction halves the products, but wants weights and rows zipped: of four
/// rows it takes 26 instructions for 32 of BFDOT, of two or three no fewer. Of
/// more rows, LLVM zips a line before the first product, and spills.
inline constexpr int64_t kBlockRows = 4;

/// A family of register tiles that share an accumulation recipe.
struct TileFamily {
  mlir::lm::Format format; // of the weight in memory
  Recipe recipe;           // WidenFMA for f32 weights
  /// GroupSums by matrix tiles, which TilePairs always takes.
  bool takesMatrix = false;

  static TileFamily of(mlir::lm::Format format, const Target &target);
  /// The family of kMatrixLeast rows and more, at once.
  TileFamily forManyRows(const Target &target) const;
  /// Element type of packed rows: f32, or i32 for pairs of bf16 and records of
  /// integers.
  mlir::Type rowElement(mlir::OpBuilder &b) const;
  /// Whether weights in a quantised format become f32 in registers.
  bool isDequantised() const {
    return mlir::lm::isQuantised(format) && recipe == Recipe::WidenFMA;
  }
  /// Whether a row's products of integers are one sum.
  bool sumsWholeRows() const {
    return recipe == Recipe::GroupSums &&
           mlir::lm::QuantisedLayout::of(format).spansRow();
  }
  /// Whether a row's pairs of bf16 are multiplied in vectors (DotPairs.h).
  bool isPairs() const {
    return recipe == Recipe::DotPairs || recipe == Recipe::OddPairs;
  }
  /// Whether tiles of `rows` rows multiply two at once, by BFMMLA.
  bool takesBlocks(const Target &target, int64_t rows) const {
    return recipe == Recipe::OddPairs && rows == kBlockRows && !target.emulate;
  }
  /// K steps in one element of a packed row of floats.
  int64_t stepsPerElement() const { return isPairs() ? 2 : 1; }
  /// K steps in one line of a panel of floats, one after the other.
  int64_t stepsPerLine() const {
    return format != mlir::lm::Format::F32 && recipe == Recipe::WidenFMA ? 2
                                                                         : 1;
  }
  /// Whether tiles of integers have 16 registers and in them the sums of both
  /// vectors of a panel, of four rows in place of six of one vector. Not with
  /// VPDPBUSD, where it was not measured, nor where what is looked up is
  /// widened, too.
  bool holdsPanel(const Target &target) const;
  /// Whether tiles are AMX's (MatrixTile.h).
  bool isMatrix() const { return takesMatrix || recipe == Recipe::TilePairs; }
  /// "bf16_dot", in the names of functions.
  std::string name() const;
  /// Rows of the largest tile.
  int64_t maxRows(const Target &target) const;
};

/// Streams of panels, each walked from end to end, that a tile of `rows` rows
/// reads at once; 1 where it takes pairs of panels, one after the other.
int64_t streamsOf(const Target &target, const TileFamily &family, int64_t rows);

/// Whether a tile of `rows` rows fetches as streams do, and reads as they do
/// (runOf). One of a pair of panels does so, too, unless it is of integers with
/// vectors of 8 lanes, or such tiles are blocks of more rows, which fetch for
/// each other: then it is a function of its own, where the two ways differ.
bool fetchesAsStream(const Target &target, const TileFamily &family,
                     int64_t rows, bool inStreams);

/// Lines ahead of use that a tile fetches its own panels, where no other block
/// fetches them for it and it does not read them in runs; 0 for not at all.
/// `asStream`: by fetchesAsStream.
int64_t leadOf(const Target &target, const TileFamily &family, bool asStream);

/// K steps of one panel that a tile takes before it turns to the next, or 0
/// where each step takes all panels, as with vectors of 8 lanes. Interleaved
/// line by line, Zen 4's prefetcher loses streams in which nibbles leave time
/// between lines (OLMoE's layer, int4 at T=1: 82 -> 90 % of the read bandwidth;
/// T=8: 79 -> 87 % of the floor), and those of three rows of int8 (79 -> 83;
/// four lose six). Zen 5 gets them unmeasured; int8_channel has not been tried,
/// and bf16 loses where others read memory, too (docs/weight-formats.md).
int64_t runOf(const Target &target, const TileFamily &family, int64_t rows,
              bool asStream);

/// Whether it fetches every line, or of a group of integers the first only.
bool fetchesEveryLine(const Target &target, bool asStream);

/// The function `(rows, A, aOffset, B, line, lines, stride, ahead, ahead',
/// shift, wrap, C, cOffset)` that computes `rows` rows (1..MR) times panels of
/// `lines` lines whose first lines are line, line + stride, ..., and stores the
/// tile as C[panel][row][16]. `inStreams`: a panel of each of streamsOf(rows)
/// streams; else a pair. Made on first use, with the tiles that it calls.
///
/// A tile of one or two panels fetches lines ahead + (2k >> shift) and
/// ahead' + (2k >> shift) of B at its k-th: its own panels' (shift 1)
/// where it is the only one to read them, else a part of the panels that come
/// next. From step `wrap` on a tile of two turns to the next pair's; one of one
/// panel goes on to what lies behind. Tiles of more fetch their own streams.
mlir::func::FuncOp getTileDispatch(mlir::ModuleOp module, const Target &target,
                                   const TileFamily &family, bool inStreams);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_MICROKERNEL_H
