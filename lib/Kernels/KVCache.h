//===- KVCache.h - One layer's keys and values in memory --------*- C++ -*-===//
//
// Part of moe-mlir. Keys as [kv head][position / 16][head size][16 positions],
// so that a vector holds one element of 16 keys; values as [kv head][position]
// [head size]. Positions are counted from 0. Where elements are q8_0, scales
// [kv head][position] follow the keys, and others the values.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_KVCACHE_H
#define MOE_LIB_KERNELS_KVCACHE_H

#include "Emitter.h"
#include "dialects/LM/IR/LMDialect.h"

namespace moec::kernels {

/// Positions of a panel of keys, and of a block of the running softmax.
inline constexpr int64_t kPanel = 16, kBlock = 64;

struct KVCache {
  mlir::Value bytes, extent;
  mlir::lm::StateType type;

  int64_t heads() const { return type.getHeads(); }
  int64_t size() const { return type.getHeadDim(); }
  /// Columns of a row of values widened to f32.
  int64_t paddedSize() const { return llvm::alignTo(size(), kPanel); }

  /// memref<? x head size x 16>, index head * extent / 16 + panel.
  mlir::Value viewKeys(Emitter &e) const;
  /// memref<? x head size>, index head * extent + position.
  mlir::Value viewValues(Emitter &e) const;

  /// memref<? x f32>, index head * extent + position.
  mlir::Value viewScales(Emitter &e, bool ofValues) const;

  /// Buffers of one block in f32.
  mlir::MemRefType wideKeysType(Emitter &e) const;
  mlir::MemRefType wideValuesType(Emitter &e) const;
  /// Bytes of both.
  int64_t wideBytes() const { return kBlock * (size() + paddedSize()) * 4; }

};

/// Block `block` of one head, as it lies in the cache.
class CacheBlock {
public:
  using Value = mlir::Value;

  CacheBlock(Emitter &e, const KVCache &cache, Value head, Value block);

  /// The scales of `lanes` keys of a panel, or null where there are none.
  Value keyScales(Value panel, int64_t lane) const;
  /// One column of `lanes` keys of a panel as f32.
  Value loadKeys(Value panel, Value column, int64_t lane, Value scales) const;
  /// The scale of the value at a position of the block, or null.
  Value valueScale(Value position) const;
  /// `count` columns of a value as f32; lanes past count are 0.
  Value loadValue(Value position, Value column, int64_t count,
                  Value scale) const;

  /// Widens all keys and all values to f32. Columns past the head size are not
  /// read.
  void widenKeys(Value wide) const;
  void widenValues(Value wide) const;

private:
  Emitter &e;
  int64_t size;
  Value keys, values, scalesOfKeys, scalesOfValues;
  Value firstPanel, firstRow;
};

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_KVCACHE_H
