//===- AttentionSegment.h - Softmax of one segment of positions -*- C++ -*-===//
//
// Part of moe-mlir. A query's softmax runs over blocks of 64 positions inside
// segments of 1024, both counted from position 0; a segment starts from
// nothing, and segments are merged in ascending order. So segments can be
// computed in any order and by any slot, and the bits of a row depend neither
// on that nor on how a prompt was cut.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ATTENTIONSEGMENT_H
#define MOE_LIB_KERNELS_ATTENTIONSEGMENT_H

#include "KVCache.h"
#include "RowDigits.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec::kernels {

/// Positions of a segment; queries of a register tile; most queries of a unit
/// of work, which share a KV head.
inline constexpr int64_t kSegment = 1024, kTile = 4, kUnit = 32;

/// What one attention op computes, and where the queries of a KV head lie:
/// number n is row n / group, head kvHead * group + n % group.
struct AttentionShape {
  using Value = mlir::Value;

  Value q, position;
  KVCache cache;
  int64_t group, window;
  /// Queries are bf16: so are the softmax's weights of bf16 values.
  bool hasBF16Queries;
  /// The cache can be q8_0 that lies in fours.
  bool hasQuads;

  static AttentionShape of(mlir::lm::AttentionOp op);

  /// Columns of a state row: the weighted values, maximum and sum, padding.
  int64_t stateColumns() const { return cache.paddedSize() + kMostLanes; }
  int64_t maximumColumn() const { return cache.paddedSize(); }
  int64_t sumColumn() const { return cache.paddedSize() + 1; }
  mlir::MemRefType stateType(Emitter &e) const;

  Value row(Emitter &e, Value n) const { return e.div(n, group); }
  Value head(Emitter &e, Value kvHead, Value n) const;
  /// The positions [first, second) that a row sees.
  std::pair<Value, Value> seen(Emitter &e, Value row) const;
  /// The segments [first, second) of which rows first .. last see any.
  std::pair<Value, Value> segments(Emitter &e, Value first, Value last) const;

  /// Bytes of a slot's own scratch for getSegmentFunction, whole cache lines:
  /// states lie behind it.
  int64_t scratchBytes() const {
    return cache.wideBytes() + kUnit * (kBlock * (4 + 2) + kMostLanes * 4) +
           (cache.hasScales() ? 2 * kBlock * 4 : 0) +
           (hasQuads ? digitBytes() : 0);
  }
  int64_t digitBytes() const {
    return llvm::alignTo(RowDigits::bytesOf(kUnit, cache.size()) +
                             RowDigits::bytesOf(1, kBlock),
                         64);
  }
};

/// The function (q, cache, extent, position, kvHead, n, count, segment, states,
/// at, scratch, key type and value type where they are chosen) that writes the
/// softmax states of queries n .. n + count - 1 over one segment to rows `at`
/// .. of `states`. Made on first use. A query's bits do not depend on `count`.
mlir::func::FuncOp getSegmentFunction(Emitter &e, mlir::lm::AttentionOp op);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ATTENTIONSEGMENT_H
