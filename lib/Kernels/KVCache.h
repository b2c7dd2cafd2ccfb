//===- KVCache.h - One layer's keys and values in memory --------*- C++ -*-===//
//
// Part of moe-mlir. Keys as [kv head][position / 64][head size][64 positions],
// so that a vector holds one element of several keys and reading a block is one
// stream; values as [kv head][position][head size]. Positions are counted from
// 0. Where elements are q8_0, scales [kv head][position] follow the keys, and
// others the values.
//
// bf16 lies in pairs of what is added up, as products of pairs take it: keys as
// [kv head][position / 64][head size / 2][64 positions][2 elements], values as
// [kv head][position / 2][head size][2 positions].
//
// A type of several element types leaves the choice to the run: code that
// depends on it is emitted for each, keys and values apart.
//
// Where the target multiplies bytes four at a time, q8_0 lies in fours in the
// same way, the integers 128 more than they are: products take them as they lie
// (AttentionQuads.cpp).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_KVCACHE_H
#define MOE_LIB_KERNELS_KVCACHE_H

#include "Emitter.h"
#include "dialects/LM/IR/LMDialect.h"

namespace moec::kernels {

/// Positions of a block of keys, and of the running softmax.
inline constexpr int64_t kBlock = 64;
/// f32 lanes of the widest vector.
inline constexpr int64_t kMostLanes = 16;

/// Half of a cache: its keys, or its values, of one element type.
struct CacheHalf {
  using Value = mlir::Value;

  mlir::Type element;
  /// Elements of a key (values of a column) that lie side by side: 2, or 4,
  /// which are 4 bytes; else 1.
  int64_t perStep;
  /// Of keys memref<? x steps x width>, index head * extent / 64 + block; of
  /// values memref<? x width>, index (head * extent + position) / perStep.
  Value elements;
  /// The same of i32, each what lies side by side.
  Value words;
  /// memref<? x f32>, index head * extent + position, where elements are q8_0.
  Value scales;

  bool isQuads() const { return perStep == 4; }
};

struct KVCache {
  using Value = mlir::Value;
  using HalfBody = llvm::function_ref<void(const CacheHalf &)>;

  Value bytes, extent;
  /// Numbers of the element types, null where the type has only one.
  Value keyType, valueType;
  mlir::lm::StateType type;

  /// The cache of an append or attention op in buffer form.
  template <typename OpT> static KVCache of(OpT op) {
    KVCache cache{op.getState(), op.getExtent(), {}, {}, op.getCacheType()};
    if (!op.getTypes().empty()) {
      cache.keyType = op.getTypes()[0];
      cache.valueType = op.getTypes()[1];
    }
    return cache;
  }

  int64_t heads() const { return type.getHeads(); }
  int64_t size() const { return type.getHeadDim(); }
  /// Columns of a row of values widened to f32.
  int64_t paddedSize() const { return llvm::alignTo(size(), kMostLanes); }

  /// Runs `body` on the keys (values) as what they are.
  void withKeys(Emitter &e, HalfBody body) const;
  void withValues(Emitter &e, HalfBody body) const;
  /// Whether keys (values) have an element type: an i1, or null if they cannot.
  Value keysAre(Emitter &e, mlir::Type element) const;
  Value valuesAre(Emitter &e, mlir::Type element) const;
  /// Whether they lie in fours, likewise.
  Value keysAreQuads(Emitter &e) const;
  Value valuesAreQuads(Emitter &e) const;

  /// Where the elements of one head's block of keys (values) lie in `bytes`,
  /// and how many bytes they are.
  struct Place {
    Value start, bytes;
  };
  Place keyPlace(Emitter &e, Value head, Value block) const;
  Place valuePlace(Emitter &e, Value head, Value block) const;

  /// One head's block of keys (values), where elements are f32; of values,
  /// where paddedSize() is size(). Of the types below.
  Value wideKeys(Emitter &e, Value head, Value block) const;
  Value wideValues(Emitter &e, Value head, Value block) const;
  /// Buffers of one block in f32.
  mlir::MemRefType wideKeysType(Emitter &e) const;
  mlir::MemRefType wideValuesType(Emitter &e) const;
  /// Whether a half can be q8_0, whose elements are multiplied by scales.
  bool hasScales() const {
    return llvm::any_of(type.getElementTypes(),
                        mlir::lm::StateType::isQuantised);
  }
  /// Bytes of both.
  int64_t wideBytes() const { return kBlock * (size() + paddedSize()) * 4; }

private:
  Value ofType(Emitter &e, Value number,
               llvm::function_ref<int64_t(mlir::Type)> of) const;
  Value rowBytes(Emitter &e, Value number) const;
  Value isType(Emitter &e, Value number, mlir::Type element) const;
  void withType(Emitter &e, Value number,
                llvm::function_ref<void(mlir::Type)> body) const;
};

/// The keys of one head's block `block`, as they lie in the cache.
class KeyBlock {
public:
  using Value = mlir::Value;

  KeyBlock(Emitter &e, const KVCache &cache, const CacheHalf &keys, Value head,
           Value block);

  int64_t perStep() const { return keys.perStep; }
  /// Stores what the elements of each key still are to be multiplied by.
  void storeScales(Value to) const;
  /// One step of these keys: an element of each as f32 (of q8_0 its integer),
  /// or a pair, or four bytes.
  Value load(Value step, Value first) const;
  /// Fetches its first lines and those of every page, which the machine's
  /// prefetchers do not foresee.
  void prefetch() const;
  /// Widens all to f32, of q8_0 the integers.
  void widen(Value wide) const;

private:
  Emitter &e;
  CacheHalf keys;
  int64_t size;
  Value number, firstRow;
};

/// The same of its values.
class ValueBlock {
public:
  using Value = mlir::Value;

  ValueBlock(Emitter &e, const KVCache &cache, const CacheHalf &values,
             Value head, Value block);

  int64_t perStep() const { return values.perStep; }
  void storeScales(Value to) const;
  /// `count` columns of one step, an f32 (of q8_0 the integer) or a pair or
  /// four of positions each; lanes past count are 0.
  Value load(Value step, Value column, int64_t count) const;
  void prefetch() const;
  /// Widens all to f32, of q8_0 the integers. Columns past the head size are
  /// not read.
  void widen(Value wide) const;

private:
  Emitter &e;
  CacheHalf values;
  int64_t size;
  Value firstRow;
};

/// The two bf16 of each i32 lane, as f32: those in the low halves, and those in
/// the high ones.
std::pair<mlir::Value, mlir::Value> splitPairs(Emitter &e, mlir::Value pairs);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_KVCACHE_H
