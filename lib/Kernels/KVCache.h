//===- KVCache.h - One layer's keys and values in memory --------*- C++ -*-===//
//
// Part of moe-mlir. Keys as [kv head][position / 16][head size][16 positions],
// so that a vector holds one element of 16 keys; values as [kv head][position]
// [head size]. Positions are counted from 0. Where elements are q8_0, scales
// [kv head][position] follow the keys, and others the values.
//
// A type of several element types leaves the choice to the run: code that
// depends on it is emitted for each, keys and values apart.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_KVCACHE_H
#define MOE_LIB_KERNELS_KVCACHE_H

#include "Emitter.h"
#include "dialects/LM/IR/LMDialect.h"

namespace moec::kernels {

/// Positions of a panel of keys, and of a block of the running softmax.
inline constexpr int64_t kPanel = 16, kBlock = 64;

/// Half of a cache: its keys, or its values, of one element type.
struct CacheHalf {
  using Value = mlir::Value;

  mlir::Type element;
  /// Of keys memref<? x head size x 16>, index head * extent / 16 + panel; of
  /// values memref<? x head size>, index head * extent + position.
  Value elements;
  /// memref<? x f32>, index head * extent + position, where elements are q8_0.
  Value scales;
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
  int64_t paddedSize() const { return llvm::alignTo(size(), kPanel); }

  /// Runs `body` on the keys (values) as what they are.
  void withKeys(Emitter &e, HalfBody body) const;
  void withValues(Emitter &e, HalfBody body) const;

  /// Buffers of one block in f32.
  mlir::MemRefType wideKeysType(Emitter &e) const;
  mlir::MemRefType wideValuesType(Emitter &e) const;
  /// Bytes of both.
  int64_t wideBytes() const { return kBlock * (size() + paddedSize()) * 4; }

private:
  Value rowBytes(Emitter &e, Value number) const;
  void withType(Emitter &e, Value number,
                llvm::function_ref<void(mlir::Type)> body) const;
};

/// The keys of one head's block `block`, as they lie in the cache.
class KeyBlock {
public:
  using Value = mlir::Value;

  KeyBlock(Emitter &e, const KVCache &cache, const CacheHalf &keys, Value head,
           Value block);

  /// The scales of `lanes` keys of a panel, or null where there are none.
  Value scales(Value panel, int64_t lane) const;
  /// One column of `lanes` keys of a panel as f32.
  Value load(Value panel, Value column, int64_t lane, Value scales) const;
  /// Widens all to f32.
  void widen(Value wide) const;

private:
  Emitter &e;
  CacheHalf keys;
  int64_t size;
  Value firstPanel, firstRow;
};

/// The same of its values.
class ValueBlock {
public:
  using Value = mlir::Value;

  ValueBlock(Emitter &e, const KVCache &cache, const CacheHalf &values,
             Value head, Value block);

  /// The scale of the value at a position of the block, or null.
  Value scale(Value position) const;
  /// `count` columns of a value as f32; lanes past count are 0.
  Value load(Value position, Value column, int64_t count, Value scale) const;
  /// Widens all to f32. Columns past the head size are not read.
  void widen(Value wide) const;

private:
  Emitter &e;
  CacheHalf values;
  int64_t size;
  Value firstRow;
};

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_KVCACHE_H
