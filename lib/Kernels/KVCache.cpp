//===- KVCache.cpp - One layer's keys and values in memory ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "KVCache.h"
#include "OpKernels.h"

using namespace mlir;
using namespace moec::kernels;

Value KVCache::viewKeys(Emitter &e) const {
  auto view = MemRefType::get({ShapedType::kDynamic, size(), kPanel},
                              type.getElementType());
  Value panels = e.div(extent, kPanel);
  return memref::ViewOp::create(e.b, e.loc, view, bytes, e.index(0),
                                ValueRange{e.mul(panels, heads())});
}

Value KVCache::viewValues(Emitter &e) const {
  auto view =
      MemRefType::get({ShapedType::kDynamic, size()}, type.getElementType());
  Value start = e.mul(extent, heads() * type.getRowBytes());
  return memref::ViewOp::create(e.b, e.loc, view, bytes, start,
                                ValueRange{e.mul(extent, heads())});
}

Value KVCache::viewScales(Emitter &e, bool ofValues) const {
  auto view = MemRefType::get({ShapedType::kDynamic}, e.b.getF32Type());
  int64_t before = size() + (ofValues ? type.getRowBytes() : 0);
  Value start = e.mul(extent, heads() * before);
  return memref::ViewOp::create(e.b, e.loc, view, bytes, start,
                                ValueRange{e.mul(extent, heads())});
}

MemRefType KVCache::wideKeysType(Emitter &e) const {
  return MemRefType::get({kBlock / kPanel, size(), kPanel}, e.b.getF32Type());
}

MemRefType KVCache::wideValuesType(Emitter &e) const {
  return MemRefType::get({kBlock, paddedSize()}, e.b.getF32Type());
}

/// `count` integers from `memref[indices]` on as f32; lanes past count are 0.
static Value loadIntegers(Emitter &e, Value memref, ValueRange indices,
                          int64_t count) {
  auto read = VectorType::get({count}, e.b.getI8Type());
  Value q = vector::LoadOp::create(e.b, e.loc, read, memref, indices);
  Type i32 = VectorType::get({count}, e.b.getI32Type());
  Type f32 = VectorType::get({count}, e.b.getF32Type());
  q = arith::ExtSIOp::create(e.b, e.loc, i32, q);
  q = arith::SIToFPOp::create(e.b, e.loc, f32, q);
  if (count == e.lanes)
    return q;
  return vector::InsertStridedSliceOp::create(
      e.b, e.loc, q, e.splat(0.0), ArrayRef<int64_t>{0}, ArrayRef<int64_t>{1});
}

CacheBlock::CacheBlock(Emitter &e, const KVCache &cache, Value head,
                       Value block)
    : e(e), size(cache.size()), keys(cache.viewKeys(e)),
      values(cache.viewValues(e)),
      firstPanel(e.add(e.mul(head, e.div(cache.extent, kPanel)),
                       e.mul(block, kBlock / kPanel))),
      firstRow(e.add(e.mul(head, cache.extent), e.mul(block, kBlock))) {
  if (!cache.type.isQuantised())
    return;
  scalesOfKeys = cache.viewScales(e, false);
  scalesOfValues = cache.viewScales(e, true);
}

Value CacheBlock::keyScales(Value panel, int64_t lane) const {
  if (!scalesOfKeys)
    return {};
  Value row = e.add(firstRow, e.mul(panel, kPanel));
  return e.load(scalesOfKeys, {e.add(row, lane)});
}

Value CacheBlock::loadKeys(Value panel, Value column, int64_t lane,
                           Value scales) const {
  Value at[] = {e.add(firstPanel, panel), column, e.index(lane)};
  return scales ? e.mulf(loadIntegers(e, keys, at, e.lanes), scales)
                : e.load(keys, at);
}

Value CacheBlock::valueScale(Value position) const {
  return scalesOfValues ? e.broadcast(e.loadScalar(scalesOfValues,
                                                   {e.add(firstRow, position)}))
                        : Value();
}

Value CacheBlock::loadValue(Value position, Value column, int64_t count,
                            Value scale) const {
  Value at[] = {e.add(firstRow, position), column};
  return scale ? e.mulf(loadIntegers(e, values, at, count), scale)
               : e.load(values, at, count);
}

void CacheBlock::widenKeys(Value wide) const {
  e.loop(e.index(0), e.index(kBlock / kPanel), 1, [&](Value panel) {
    SmallVector<Value> scales;
    for (int64_t lane = 0; lane < kPanel; lane += e.lanes)
      scales.push_back(keyScales(panel, lane));
    e.loop(e.index(0), e.index(size), 1, [&](Value d) {
      for (int64_t lane = 0; lane < kPanel; lane += e.lanes)
        e.store(loadKeys(panel, d, lane, scales[lane / e.lanes]), wide,
                {panel, d, e.index(lane)});
    });
  });
}

void CacheBlock::widenValues(Value wide) const {
  e.loop(e.index(0), e.index(kBlock), 1, [&](Value j) {
    Value scale = valueScale(j);
    e.columns(size, [&](Value d, int64_t count) {
      e.store(loadValue(j, d, count, scale), wide, {j, d});
    });
  });
}

//===----------------------------------------------------------------------===//
// Append
//===----------------------------------------------------------------------===//

/// max|x| / 127 of a row's columns start .. start + columns - 1. The largest
/// is found among bit patterns, where NaN is above infinity.
static Value emitScale(Emitter &e, Value rows, Value row, Value start,
                       int64_t columns) {
  Type i32 = e.vectorOf(e.b.getI32Type());
  Value magnitude = e.integer(i32, 0x7fffffff);
  Value most = e.columns(
      columns, e.integer(i32, 0),
      [&](Value d, int64_t count, ValueRange c) -> SmallVector<Value> {
        Value x = e.load(rows, {row, e.add(start, d)}, count);
        Value bits = arith::BitcastOp::create(e.b, e.loc, i32, x);
        bits = arith::AndIOp::create(e.b, e.loc, bits, magnitude);
        return {arith::MaxUIOp::create(e.b, e.loc, c[0], bits)};
      })[0];
  most = vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::MAXUI,
                                     most);
  most = arith::BitcastOp::create(e.b, e.loc, e.b.getF32Type(), most);
  return e.divf(most, e.f32(127));
}

/// The integer nearest to x / scale, ties to even, as i8; 0 where the scale
/// is 0 or not finite.
static Value emitQuantised(Emitter &e, Value x, Value scale) {
  auto compare = [&](arith::CmpFPredicate predicate, Value a, double b) {
    return arith::CmpFOp::create(e.b, e.loc, predicate, a, e.f32(b));
  };
  Value isUsable = arith::AndIOp::create(
      e.b, e.loc, compare(arith::CmpFPredicate::OGT, scale, 0),
      compare(arith::CmpFPredicate::OLT, scale,
              std::numeric_limits<double>::infinity()));
  Value q = e.divf(x, scale);
  q = e.select(compare(arith::CmpFPredicate::OGT, q, 127), e.f32(127), q);
  q = e.select(compare(arith::CmpFPredicate::OLT, q, -127), e.f32(-127), q);
  q = e.select(isUsable, q, e.f32(0));
  // 1.5 * 2^23: the sum is rounded to an integer, and its low byte is it.
  q = e.addf(q, e.f32(12582912));
  q = arith::BitcastOp::create(e.b, e.loc, e.b.getI32Type(), q);
  return arith::TruncIOp::create(e.b, e.loc, e.b.getI8Type(), q);
}

namespace {
/// Stores one head's key and value of one row at a position.
struct Append {
  Emitter &e;
  lm::AppendOp op;
  const KVCache &cache;
  Value keys, values;

  void store(Value row, Value head, Value position);
  void storeQuantised(Value row, Value head, Value position);
  Value panelOf(Value head, Value position) const {
    return e.add(e.mul(head, e.div(cache.extent, kPanel)),
                 e.div(position, kPanel));
  }
};
} // namespace

void Append::store(Value row, Value head, Value position) {
  Value start = e.mul(head, cache.size());
  Value panel = panelOf(head, position);
  Value lane = e.rem(position, e.index(kPanel));
  e.loop(e.index(0), e.index(cache.size()), 1, [&](Value d) {
    Value k = e.loadScalar(op.getK(), {row, e.add(start, d)});
    e.storeScalar(k, keys, {panel, d, lane});
  });
  Value at = e.add(e.mul(head, cache.extent), position);
  e.columns(cache.size(), [&](Value d, int64_t count) {
    Value v = e.load(op.getV(), {row, e.add(start, d)}, count);
    e.store(v, values, {at, d}, count);
  });
}

void Append::storeQuantised(Value row, Value head, Value position) {
  Value start = e.mul(head, cache.size());
  Value panel = panelOf(head, position);
  Value lane = e.rem(position, e.index(kPanel));
  Value at = e.add(e.mul(head, cache.extent), position);
  Value scaleOfK = emitScale(e, op.getK(), row, start, cache.size());
  Value scaleOfV = emitScale(e, op.getV(), row, start, cache.size());
  e.storeScalar(scaleOfK, cache.viewScales(e, false), {at});
  e.storeScalar(scaleOfV, cache.viewScales(e, true), {at});
  e.loop(e.index(0), e.index(cache.size()), 1, [&](Value d) {
    Value k = e.loadScalar(op.getK(), {row, e.add(start, d)});
    Value v = e.loadScalar(op.getV(), {row, e.add(start, d)});
    memref::StoreOp::create(e.b, e.loc, emitQuantised(e, k, scaleOfK), keys,
                            ValueRange{panel, d, lane});
    memref::StoreOp::create(e.b, e.loc, emitQuantised(e, v, scaleOfV), values,
                            ValueRange{at, d});
  });
}

void moec::kernels::emitKernel(Emitter &e, lm::AppendOp op, const Slot &slot) {
  KVCache cache{op.getState(), op.getExtent(), op.getCacheType()};
  Append append{e, op, cache, cache.viewKeys(e), cache.viewValues(e)};
  auto [first, last] = e.share(e.dim(op.getK(), 0), slot.number, slot.count);
  e.loop(first, last, 1, [&](Value row) {
    Value position = e.add(op.getPosition(), row);
    e.loop(e.index(0), e.index(cache.heads()), 1, [&](Value head) {
      if (cache.type.isQuantised())
        append.storeQuantised(row, head, position);
      else
        append.store(row, head, position);
    });
  });
}
