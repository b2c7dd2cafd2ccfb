//===- Target.h - What kernels need to know of a machine --------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_KERNELS_TARGET_H
#define MOE_KERNELS_TARGET_H

#include "mlir/IR/BuiltinOps.h"
#include <string>

namespace moec::kernels {

/// How products of 16-bit weights are accumulated. One executable uses one
/// recipe for every regime of a weight: that is what keeps bits independent of
/// batch and chunk (docs/numerics.md).
enum class Recipe {
  /// Widen to f32, fused multiply-add, K ascending. Of a quantised format:
  /// code times scale.
  WidenFMA,
  /// VDPBF16PS: pairs of K, odd element first, denormals flushed.
  DotPairs,
  /// TDPBF16PS: of 32 K even and odd elements apart, denormals flushed.
  TilePairs,
  /// BFDOT, BFMMLA: both products of a pair of K added first, then to the sum;
  /// rounded to odd, denormals flushed.
  OddPairs,
  /// Weights in a quantised format, rows as integers: exact integer sums over
  /// groups of K, added in f32, K ascending.
  GroupSums,
};

/// Whose instructions kernels name.
enum class Architecture { X86, AArch64 };

/// A machine as kernels see it.
struct Target {
  Architecture architecture = Architecture::X86;
  /// f32 lanes of a vector: 8 (AVX2; AArch64, in two registers of 128 bits) or
  /// 16 (AVX-512). Sums along a row have as many parts: bits depend on it.
  int64_t lanes = 8;
  /// Vectors of that many lanes that the registers hold.
  int64_t registers = 16;
  /// Recipe for bf16 weights.
  Recipe recipe = Recipe::WidenFMA;
  /// Bytes are multiplied four at a time (VPDPBUSD, USDOT), not as pairs of 16
  /// bits. Sums are exact: no bit depends on it.
  bool dotQuads = false;
  /// The same where both factors have a sign (SDOT).
  bool signedQuads = false;
  /// Blocks of many rows multiply bytes in matrix tiles (TDPBSUD). Exact too.
  bool tileQuads = false;
  /// Products with quantised weights read rows as they are (`lm.activations`),
  /// by WidenFMA; else rows become integers, by GroupSums.
  bool floatActivations = false;
  /// Take generic emitters even where the instruction exists.
  bool emulate = false;
  /// Breaks the routing contract: attention blocks end where a chunk starts.
  /// The negative control of the contract's test, for nothing else.
  bool blocksFromChunk = false;
  /// Bytes of packed rows that should stay in a cache: the second level's, or
  /// the third's where reading weights once more costs more than rows from it.
  int64_t rowBudget = 512 * 1024;

  /// Panels of a register tile of a few rows with vectors of 16 lanes,
  /// each from another part of the weight: streams that a thread reads from
  /// memory at once, while nothing else hides its latency (streamsOf,
  /// MicroKernel.h).
  int64_t streamPanels = 8;
  /// How many lines ahead a tile that reads streams fetches each of them; 0
  /// leaves that to the machine (leadOf), for which streams of integers with
  /// vectors of 16 lanes may take turns in runs (runOf).
  int64_t prefetchLines = 24;
  /// The same for a tile of more rows, which computes more between two lines.
  int64_t blockPrefetchLines = 24;
  /// The cache level that it fetches into: 1 or 2.
  int64_t blockPrefetchLevel = 1;

  /// Rows of the largest register tile.
  int64_t maxTileRows() const { return lanes == 16 ? 12 : 6; }

  /// Target of a module: its attributes `lm.target` and `lm.activations`, or
  /// the defaults.
  static Target of(mlir::ModuleOp module);
  /// Writes this target as the module's attributes.
  void setOn(mlir::ModuleOp module) const;
  /// Name of the recipe, as shown on a model's card.
  std::string recipeName() const;

  /// Whether products with bf16 weights read rows of bf16.
  bool roundsRows() const { return recipe != Recipe::WidenFMA; }
  bool isAArch64() const { return architecture == Architecture::AArch64; }
};

} // namespace moec::kernels

#endif // MOE_KERNELS_TARGET_H
