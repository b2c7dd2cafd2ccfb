//===- SegmentEmitter.h - Emits the softmax of a segment --------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_SEGMENTEMITTER_H
#define MOE_LIB_KERNELS_SEGMENTEMITTER_H

#include "AttentionSegment.h"

namespace moec::kernels {

/// Emits the body of a segment function.
class SegmentEmitter {
  using Value = mlir::Value;
  using Type = mlir::Type;
  using Body = llvm::function_ref<void()>;

public:
  SegmentEmitter(Emitter &e, const AttentionShape &shape, double scale,
                 Value kvHead, Value states, Value at)
      : e(e), shape(shape), scale(scale), kvHead(kvHead), states(states),
        firstState(at) {}

  void placeScratch(Value scratch);
  void clear(Value count);
  void storeQueryDigits(Value n, Value count);
  /// All blocks of the segment, positions [from, to) of them.
  void addBlocks(Value n, Value count, Value from, Value to);
  /// Writes the sums, which were kept a lane each.
  void finish(Value count);

private:
  /// Positions [first, end).
  struct Range {
    Value first, end;
  };

  /// Whether products with bf16 keys and values take pairs.
  bool takesPairs() const {
    return shape.hasBF16Queries && e.target.recipe == Recipe::DotPairs;
  }
  using HalfIs = Value (KVCache::*)(Emitter &, Type) const;
  void whenReadAsBlock(Type element, Body body);
  Value isReadAsBlock(HalfIs is);
  void whenWidened(const CacheHalf &half, int64_t columns, Body body);

  Range visible(Value n);
  Range common(Value n, Value first, Value size);
  void eachVisible(Value n, Value first, Value size,
                   llvm::function_ref<void(Value, Value, Range)> body);
  void dotTile(Value block, Value n, Value first, Value size);
  void scoreTile(Value block, Value n, Value first, Value size);
  void addSharedValues(Value block, Value n, Value first, Value size);
  void addTile(Value block, Value n, Value first, Value size);
  void addBlock(Value block, Value n, Value count);

  // A block's elements.

  void startBlock(Value block);
  void prefetch(Value block);
  void placeTiles(Value block);
  void widen(Value block);
  using WithHalf = void (KVCache::*)(Emitter &, KVCache::HalfBody) const;
  template <typename Block>
  void withTile(Value block, WithHalf with, HalfIs is,
                llvm::function_ref<void(const Block *)> body);

  // Softmax.

  Value storeWeights(Value p, Value score, Value u, int64_t column);
  void raiseMaximum(Value old, Value maximum, Value u);
  void maskScores(Range range, Value u);
  void addSoftmax(Value n, Value u);

  // Products (AttentionTile.cpp).

  void fetch(const KVCache::Place &place, Value number, int64_t parts);
  void dotKeys(int64_t queries, Value n, Value u, const KeyBlock *block);
  void addValues(int64_t queries, Value u, Range range,
                 const ValueBlock *block);
  void addColumns(int64_t queries, Value u, Range range, Value column,
                  int64_t count, const ValueBlock *block);

  // The same with integers (AttentionQuads.cpp).

  void fetchPart(const KVCache::Place &place, Value u, Value first, Value size);
  void dotQuads(Value u, const KeyBlock &block);
  void addQuads(Value u, const ValueBlock &block);

  Emitter &e;
  const AttentionShape &shape;
  double scale;
  /// The state of the unit's query u is row firstState + u, its sum row u.
  Value kvHead, states, firstState, sums;
  Value scores, bf16Weights, wideKeys, wideValues;
  Value keyScales, valueScales;    // of the block, null where there are none
  Value queryDigits, weightDigits; // where q8_0 lies in fours
  Value tileKeys, tileValues;      // a block in f32
  Value base, from, to;            // of the block
  Value areFew;                    // queries that share it
  KVCache::Place values, nextKeys; // what tiles fetch
};

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_SEGMENTEMITTER_H
