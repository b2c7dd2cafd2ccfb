//===- KVCache.cpp - One layer's keys and values in memory ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "KVCache.h"
#include "OpKernels.h"

using namespace mlir;
using namespace moec::kernels;

using lm::StateType;

/// Bytes of a head's row of the half whose element type has this number.
Value KVCache::rowBytes(Emitter &e, Value number) const {
  Value bytes = e.index(type.getRowBytes(type.getDefaultType()));
  if (number)
    for (auto [i, element] : llvm::enumerate(type.getElementTypes()))
      bytes = e.select(e.equal(number, e.index(i)),
                       e.index(type.getRowBytes(element)), bytes);
  return bytes;
}

/// Runs `body` for the element type that has this number.
void KVCache::withType(Emitter &e, Value number,
                       function_ref<void(Type)> body) const {
  if (!number)
    return body(type.getDefaultType());
  for (auto [i, element] : llvm::enumerate(type.getElementTypes()))
    e.when(e.equal(number, e.index(i)), [&] { body(element); });
}

void KVCache::withKeys(Emitter &e, HalfBody body) const {
  withType(e, keyType, [&](Type element) {
    auto view = MemRefType::get({ShapedType::kDynamic, size(), kPanel}, element);
    Value panels = e.mul(e.div(extent, kPanel), heads());
    CacheHalf keys{element, e.view(bytes, e.index(0), view, panels), {}};
    Value rows = e.mul(extent, heads());
    auto scales = MemRefType::get({ShapedType::kDynamic}, e.b.getF32Type());
    if (StateType::isQuantised(element))
      keys.scales = e.view(bytes, e.mul(rows, size()), scales, rows);
    body(keys);
  });
}

void KVCache::withValues(Emitter &e, HalfBody body) const {
  Value rows = e.mul(extent, heads());
  Value start = e.mul(rows, rowBytes(e, keyType));
  withType(e, valueType, [&](Type element) {
    auto view = MemRefType::get({ShapedType::kDynamic, size()}, element);
    CacheHalf values{element, e.view(bytes, start, view, rows), {}};
    auto scales = MemRefType::get({ShapedType::kDynamic}, e.b.getF32Type());
    if (StateType::isQuantised(element))
      values.scales =
          e.view(bytes, e.add(start, e.mul(rows, size())), scales, rows);
    body(values);
  });
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

KeyBlock::KeyBlock(Emitter &e, const KVCache &cache, const CacheHalf &keys,
                   Value head, Value block)
    : e(e), keys(keys), size(cache.size()),
      firstPanel(e.add(e.mul(head, e.div(cache.extent, kPanel)),
                       e.mul(block, kBlock / kPanel))),
      firstRow(e.add(e.mul(head, cache.extent), e.mul(block, kBlock))) {}

Value KeyBlock::scales(Value panel, int64_t lane) const {
  if (!keys.scales)
    return {};
  Value row = e.add(firstRow, e.mul(panel, kPanel));
  return e.load(keys.scales, {e.add(row, lane)});
}

Value KeyBlock::load(Value panel, Value column, int64_t lane,
                     Value scales) const {
  Value at[] = {e.add(firstPanel, panel), column, e.index(lane)};
  return scales ? e.mulf(loadIntegers(e, keys.elements, at, e.lanes), scales)
                : e.load(keys.elements, at);
}

void KeyBlock::widen(Value wide) const {
  e.loop(e.index(0), e.index(kBlock / kPanel), 1, [&](Value panel) {
    SmallVector<Value> factors;
    for (int64_t lane = 0; lane < kPanel; lane += e.lanes)
      factors.push_back(scales(panel, lane));
    e.loop(e.index(0), e.index(size), 1, [&](Value d) {
      for (int64_t lane = 0; lane < kPanel; lane += e.lanes)
        e.store(load(panel, d, lane, factors[lane / e.lanes]), wide,
                {panel, d, e.index(lane)});
    });
  });
}

ValueBlock::ValueBlock(Emitter &e, const KVCache &cache,
                       const CacheHalf &values, Value head, Value block)
    : e(e), values(values), size(cache.size()),
      firstRow(e.add(e.mul(head, cache.extent), e.mul(block, kBlock))) {}

Value ValueBlock::scale(Value position) const {
  if (!values.scales)
    return {};
  return e.broadcast(e.loadScalar(values.scales, {e.add(firstRow, position)}));
}

Value ValueBlock::load(Value position, Value column, int64_t count,
                       Value scale) const {
  Value at[] = {e.add(firstRow, position), column};
  return scale ? e.mulf(loadIntegers(e, values.elements, at, count), scale)
               : e.load(values.elements, at, count);
}

void ValueBlock::widen(Value wide) const {
  e.loop(e.index(0), e.index(kBlock), 1, [&](Value j) {
    Value factor = scale(j);
    e.columns(size, [&](Value d, int64_t count) {
      e.store(load(j, d, count, factor), wide, {j, d});
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

  void storeKey(const CacheHalf &keys, Value row, Value head, Value position);
  void storeValue(const CacheHalf &values, Value row, Value head,
                  Value position);
};
} // namespace

void Append::storeKey(const CacheHalf &keys, Value row, Value head,
                      Value position) {
  Value start = e.mul(head, cache.size());
  Value panel = e.add(e.mul(head, e.div(cache.extent, kPanel)),
                      e.div(position, kPanel));
  Value lane = e.rem(position, e.index(kPanel));
  Value scale;
  if (keys.scales) {
    scale = emitScale(e, op.getK(), row, start, cache.size());
    e.storeScalar(scale, keys.scales,
                  {e.add(e.mul(head, cache.extent), position)});
  }
  e.loop(e.index(0), e.index(cache.size()), 1, [&](Value d) {
    Value k = e.loadScalar(op.getK(), {row, e.add(start, d)});
    Value at[] = {panel, d, lane};
    if (!scale)
      return e.storeScalar(k, keys.elements, at);
    memref::StoreOp::create(e.b, e.loc, emitQuantised(e, k, scale),
                            keys.elements, ValueRange(at));
  });
}

void Append::storeValue(const CacheHalf &values, Value row, Value head,
                        Value position) {
  Value start = e.mul(head, cache.size());
  Value at = e.add(e.mul(head, cache.extent), position);
  if (!values.scales)
    return e.columns(cache.size(), [&](Value d, int64_t count) {
      Value v = e.load(op.getV(), {row, e.add(start, d)}, count);
      e.store(v, values.elements, {at, d}, count);
    });
  Value scale = emitScale(e, op.getV(), row, start, cache.size());
  e.storeScalar(scale, values.scales, {at});
  e.loop(e.index(0), e.index(cache.size()), 1, [&](Value d) {
    Value v = e.loadScalar(op.getV(), {row, e.add(start, d)});
    memref::StoreOp::create(e.b, e.loc, emitQuantised(e, v, scale),
                            values.elements, ValueRange{at, d});
  });
}

void moec::kernels::emitKernel(Emitter &e, lm::AppendOp op, const Slot &slot) {
  KVCache cache = KVCache::of(op);
  Append append{e, op, cache};
  auto [first, last] = e.share(e.dim(op.getK(), 0), slot.number, slot.count);
  auto eachHead = [&](function_ref<void(Value, Value, Value)> body) {
    e.loop(first, last, 1, [&](Value row) {
      Value position = e.add(op.getPosition(), row);
      e.loop(e.index(0), e.index(cache.heads()), 1,
             [&](Value head) { body(row, head, position); });
    });
  };
  cache.withKeys(e, [&](const CacheHalf &keys) {
    eachHead([&](Value row, Value head, Value position) {
      append.storeKey(keys, row, head, position);
    });
  });
  cache.withValues(e, [&](const CacheHalf &values) {
    eachHead([&](Value row, Value head, Value position) {
      append.storeValue(values, row, head, position);
    });
  });
}
