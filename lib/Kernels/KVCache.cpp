//===- KVCache.cpp - One layer's keys and values in memory ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "KVCache.h"
#include "OpKernels.h"
#include "QuantisedRows.h"
#include "RowDigits.h"

using namespace mlir;
using namespace moec::kernels;

using lm::StateType;

/// Elements of this type that lie side by side.
static int64_t elementsPerStep(Emitter &e, Type element) {
  if (element.isBF16())
    return 2;
  return StateType::isQuantised(element) && multipliesQuads(e.target) ? 4 : 1;
}

/// What `of` says of the element type that has this number.
Value KVCache::ofType(Emitter &e, Value number,
                      function_ref<int64_t(Type)> of) const {
  Value result = e.index(of(type.getDefaultType()));
  if (number)
    for (auto [i, element] : llvm::enumerate(type.getElementTypes()))
      result =
          e.select(e.equal(number, e.index(i)), e.index(of(element)), result);
  return result;
}

/// Bytes of a head's row of the half whose element type has this number.
Value KVCache::rowBytes(Emitter &e, Value number) const {
  return ofType(e, number, [&](Type t) { return type.getRowBytes(t); });
}

KVCache::Place KVCache::keyPlace(Emitter &e, Value head, Value block) const {
  Value number = e.add(e.mul(head, e.div(extent, kBlock)), block);
  Value bytes = ofType(e, keyType, [&](Type t) {
    return kBlock * llvm::alignTo(size(), elementsPerStep(e, t)) *
           StateType::getElementBytes(t);
  });
  return {e.mul(number, bytes), bytes};
}

KVCache::Place KVCache::valuePlace(Emitter &e, Value head, Value block) const {
  Value start = e.mul(e.mul(extent, heads()), rowBytes(e, keyType));
  Value number = e.add(e.mul(head, e.div(extent, kBlock)), block);
  Value bytes = ofType(e, valueType, [&](Type t) {
    return kBlock * size() * StateType::getElementBytes(t);
  });
  return {e.add(start, e.mul(number, bytes)), bytes};
}

/// Runs `body` for the element type that has this number.
void KVCache::withType(Emitter &e, Value number,
                       function_ref<void(Type)> body) const {
  if (!number)
    return body(type.getDefaultType());
  for (auto [i, element] : llvm::enumerate(type.getElementTypes()))
    e.when(e.equal(number, e.index(i)), [&] { body(element); });
}

Value KVCache::isType(Emitter &e, Value number, Type element) const {
  auto known = llvm::find(type.getElementTypes(), element);
  if (known == type.getElementTypes().end())
    return {};
  int64_t i = known - type.getElementTypes().begin();
  return e.equal(number ? number : e.index(0), e.index(i));
}

Value KVCache::keysAre(Emitter &e, Type element) const {
  return isType(e, keyType, element);
}
Value KVCache::valuesAre(Emitter &e, Type element) const {
  return isType(e, valueType, element);
}
Value KVCache::keysAreQuads(Emitter &e) const {
  Type i8 = e.b.getI8Type();
  return elementsPerStep(e, i8) == 4 ? keysAre(e, i8) : Value();
}
Value KVCache::valuesAreQuads(Emitter &e) const {
  Type i8 = e.b.getI8Type();
  return elementsPerStep(e, i8) == 4 ? valuesAre(e, i8) : Value();
}

/// Views of a half whose rows, of `columns` elements, start at `start`; `shape`
/// counts elements.
static CacheHalf viewHalf(Emitter &e, const KVCache &cache, Type element,
                          int64_t columns, Value start, ArrayRef<int64_t> shape,
                          Value count) {
  CacheHalf half{element, elementsPerStep(e, element), {}, {}, {}};
  half.elements =
      e.view(cache.bytes, start, MemRefType::get(shape, element), count);
  Value rows = e.mul(cache.extent, cache.heads());
  auto scales = MemRefType::get({ShapedType::kDynamic}, e.b.getF32Type());
  if (StateType::isQuantised(element))
    half.scales =
        e.view(cache.bytes, e.add(start, e.mul(rows, columns)), scales, rows);
  if (half.perStep == 1)
    return half;
  SmallVector<int64_t> words(shape);
  words.back() /= half.perStep;
  half.words = e.view(cache.bytes, start,
                      MemRefType::get(words, e.b.getI32Type()), count);
  return half;
}

void KVCache::withKeys(Emitter &e, HalfBody body) const {
  withType(e, keyType, [&](Type element) {
    int64_t perStep = elementsPerStep(e, element);
    int64_t steps = llvm::divideCeil(size(), perStep);
    int64_t shape[] = {ShapedType::kDynamic, steps, kBlock * perStep};
    Value blocks = e.mul(e.div(extent, kBlock), heads());
    body(viewHalf(e, *this, element, steps * perStep, e.index(0), shape,
                  blocks));
  });
}

void KVCache::withValues(Emitter &e, HalfBody body) const {
  Value rows = e.mul(extent, heads());
  Value start = e.mul(rows, rowBytes(e, keyType));
  withType(e, valueType, [&](Type element) {
    int64_t perStep = elementsPerStep(e, element);
    int64_t shape[] = {ShapedType::kDynamic, size() * perStep};
    body(viewHalf(e, *this, element, size(), start, shape,
                  e.div(rows, perStep)));
  });
}

/// A view of the block's rows of f32 in a half that starts at `start`.
static Value viewBlock(Emitter &e, const KVCache &cache, Value start,
                       Value head, Value block, MemRefType type) {
  Value row = e.add(e.mul(head, cache.extent), e.mul(block, kBlock));
  start = e.add(start, e.mul(row, cache.size() * 4));
  return memref::ViewOp::create(e.b, e.loc, type, cache.bytes, start,
                                ValueRange());
}

Value KVCache::wideKeys(Emitter &e, Value head, Value block) const {
  return viewBlock(e, *this, e.index(0), head, block, wideKeysType(e));
}

Value KVCache::wideValues(Emitter &e, Value head, Value block) const {
  Value rows = e.mul(extent, heads());
  return viewBlock(e, *this, e.mul(rows, rowBytes(e, keyType)), head, block,
                   wideValuesType(e));
}

MemRefType KVCache::wideKeysType(Emitter &e) const {
  return MemRefType::get({size(), kBlock}, e.b.getF32Type());
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
      number(e.add(e.mul(head, e.div(cache.extent, kBlock)), block)),
      firstRow(e.mul(number, kBlock)) {}

/// Stores the scales of a block's positions, or ones where there are none.
static void storeScales(Emitter &e, Value scales, Value firstRow, Value to) {
  for (int64_t j = 0; j < kBlock; j += e.lanes)
    e.store(scales ? e.load(scales, {e.add(firstRow, j)}) : e.splat(1.0), to,
            {e.index(j)});
}

void KeyBlock::storeScales(Value to) const {
  ::storeScales(e, keys.scales, firstRow, to);
}

Value KeyBlock::load(Value step, Value first) const {
  Value at[] = {number, step, first};
  if (keys.words)
    return vector::LoadOp::create(e.b, e.loc, e.vectorOf(e.b.getI32Type()),
                                  keys.words, ValueRange(at));
  return keys.scales ? loadIntegers(e, keys.elements, at, e.lanes)
                     : e.load(keys.elements, at);
}

/// Fetches the first lines of every page of the `bytes` bytes that follow
/// memref[first, 0], in rows of `rowBytes`.
static void prefetchPages(Emitter &e, Value memref, ArrayRef<Value> first,
                          int64_t rowBytes, int64_t bytes, int64_t element) {
  constexpr int64_t kPage = 4096, kLine = 64, kLines = 2;
  for (int64_t page = 0; page < bytes; page += kPage)
    for (int64_t at = page; at < std::min(page + kLines * kLine, bytes);
         at += kLine) {
      SmallVector<Value> indices(first);
      indices.back() = e.add(indices.back(), at / rowBytes);
      indices.push_back(e.index(at % rowBytes / element));
      memref::PrefetchOp::create(e.b, e.loc, memref, indices,
                                 /*isWrite=*/false, /*localityHint=*/2,
                                 /*isDataCache=*/true);
    }
}

void KeyBlock::prefetch() const {
  int64_t element = lm::StateType::getElementBytes(keys.element);
  int64_t rowBytes = kBlock * perStep() * element;
  prefetchPages(e, keys.elements, {number, e.index(0)}, rowBytes,
                llvm::divideCeil(size, perStep()) * rowBytes, element);
}

void ValueBlock::prefetch() const {
  int64_t element = lm::StateType::getElementBytes(values.element);
  prefetchPages(e, values.elements, {e.div(firstRow, perStep())},
                size * perStep() * element, kBlock * size * element, element);
}

void KeyBlock::widen(Value wide) const {
  e.loop(e.index(0), e.index(kBlock), e.lanes, [&](Value first) {
    // The elements of one step become as many rows.
    auto widenStep = [&](Value step, int64_t count) {
      Value d = e.mul(step, perStep());
      Value k = load(step, first);
      auto parts = keys.words ? splitPairs(e, k) : std::pair(k, Value());
      e.store(parts.first, wide, {d, first});
      if (count == 2)
        e.store(parts.second, wide, {e.add(d, 1), first});
    };
    int64_t whole = size / perStep();
    e.loop(e.index(0), e.index(whole), 1,
           [&](Value step) { widenStep(step, perStep()); });
    if (size % perStep())
      widenStep(e.index(whole), 1);
  });
}

ValueBlock::ValueBlock(Emitter &e, const KVCache &cache,
                       const CacheHalf &values, Value head, Value block)
    : e(e), values(values), size(cache.size()),
      firstRow(e.add(e.mul(head, cache.extent), e.mul(block, kBlock))) {}

void ValueBlock::storeScales(Value to) const {
  ::storeScales(e, values.scales, firstRow, to);
}

/// `count` words from `memref[indices]` on; lanes past count are 0.
static Value loadWords(Emitter &e, Value memref, ValueRange indices,
                       int64_t count) {
  VectorType type = e.vectorOf(e.b.getI32Type());
  if (count == e.lanes)
    return vector::LoadOp::create(e.b, e.loc, type, memref, indices);
  return vector::MaskedLoadOp::create(e.b, e.loc, type, memref, indices,
                                      e.maskOf(e.index(count)),
                                      e.integer(type, 0));
}

Value ValueBlock::load(Value step, Value column, int64_t count) const {
  Value at[] = {e.add(e.div(firstRow, perStep()), step), column};
  if (values.words)
    return loadWords(e, values.words, at, count);
  return values.scales ? loadIntegers(e, values.elements, at, count)
                       : e.load(values.elements, at, count);
}

void ValueBlock::widen(Value wide) const {
  e.loop(e.index(0), e.index(kBlock / perStep()), 1, [&](Value step) {
    Value j = e.mul(step, perStep());
    e.columns(size, [&](Value d, int64_t count) {
      Value v = load(step, d, count);
      auto parts = values.words ? splitPairs(e, v) : std::pair(v, Value());
      e.store(parts.first, wide, {j, d});
      if (parts.second)
        e.store(parts.second, wide, {e.add(j, 1), d});
    });
  });
}

std::pair<Value, Value> moec::kernels::splitPairs(Emitter &e, Value pairs) {
  Type i32 = pairs.getType();
  Value low = arith::ShLIOp::create(e.b, e.loc, pairs, e.integer(i32, 16));
  Value high =
      arith::AndIOp::create(e.b, e.loc, pairs, e.integer(i32, 0xffff0000));
  return {arith::BitcastOp::create(e.b, e.loc, e.vectorType(), low),
          arith::BitcastOp::create(e.b, e.loc, e.vectorType(), high)};
}

//===----------------------------------------------------------------------===//
// Append
//===----------------------------------------------------------------------===//

/// max|x| / 127 of a row's columns start .. start + columns - 1. The largest
/// is found among bit patterns, where NaN is above infinity.
static Value emitScale(Emitter &e, Value rows, Value row, Value start,
                       int64_t columns) {
  Value most = e.columns(
      columns, e.integer(e.vectorOf(e.b.getI32Type()), 0),
      [&](Value d, int64_t count, ValueRange c) -> SmallVector<Value> {
        Value x = e.load(rows, {row, e.add(start, d)}, count);
        return {emitLargestBits(e, x, c[0])};
      })[0];
  most = vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::MAXUI,
                                     most);
  most = arith::BitcastOp::create(e.b, e.loc, e.b.getF32Type(), most);
  return e.divf(most, e.f32(127));
}

/// The integer nearest to x / scale, ties to even, as i8, and 0 where the scale
/// is 0 or not finite; `bias` more.
static Value emitQuantised(Emitter &e, Value x, Value scale, int64_t bias) {
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
  q = e.addf(q, e.f32(kRounder + bias));
  q = arith::BitcastOp::create(e.b, e.loc, e.b.getI32Type(), q);
  return arith::TruncIOp::create(e.b, e.loc, e.b.getI8Type(), q);
}

namespace {
/// Stores keys and values of rows [first, last) of all heads.
struct Append {
  Emitter &e;
  lm::AppendOp op;
  const KVCache &cache;
  Value first, last;

  void eachHead(Value row, function_ref<void(Value, Value)> body);
  Value placeOf(Value head, Value row);
  void storeKey(const CacheHalf &keys, Value row, Value head, Value start);
  void storeValue(const CacheHalf &values, Value row, Value head, Value start);
  Value roundedBits(Value rows, Value row, Value column, int64_t count);
  void storePairsOfValues(const CacheHalf &values);
};
} // namespace

/// Runs `body(head, first column)`.
void Append::eachHead(Value row, function_ref<void(Value, Value)> body) {
  e.loop(e.index(0), e.index(cache.heads()), 1,
         [&](Value head) { body(head, e.mul(head, cache.size())); });
}

/// Number of a head's position among those of all heads.
Value Append::placeOf(Value head, Value row) {
  return e.add(e.mul(head, cache.extent), e.add(op.getPosition(), row));
}

/// `count` elements of a row rounded to bf16: the low halves of i32 lanes.
Value Append::roundedBits(Value rows, Value row, Value column, int64_t count) {
  Value x = e.narrow(e.load(rows, {row, column}, count), e.b.getBF16Type());
  x = arith::BitcastOp::create(e.b, e.loc, e.vectorOf(e.b.getI16Type()), x);
  return arith::ExtUIOp::create(e.b, e.loc, e.vectorOf(e.b.getI32Type()), x);
}

void Append::storeKey(const CacheHalf &keys, Value row, Value head,
                      Value start) {
  Value place = placeOf(head, row);
  Value block = e.div(place, kBlock), lane = e.rem(place, e.index(kBlock));
  auto store = [&](Value k, Value memref, Value step, Value at) {
    memref::StoreOp::create(e.b, e.loc, k, memref, ValueRange{block, step, at});
  };
  if (keys.element.isBF16())
    return e.columns(cache.size(), [&](Value d, int64_t count) {
      Value x = e.narrow(e.load(op.getK(), {row, e.add(start, d)}, count),
                         keys.element);
      auto pairs = VectorType::get({e.lanes / 2}, e.b.getI32Type());
      x = vector::BitCastOp::create(e.b, e.loc, pairs, x);
      for (int64_t i = 0; 2 * i < count; ++i)
        store(vector::ExtractOp::create(e.b, e.loc, x, ArrayRef<int64_t>{i}),
              keys.words, e.add(e.div(d, 2), i), lane);
    });
  Value scale;
  if (keys.scales) {
    scale = emitScale(e, op.getK(), row, start, cache.size());
    e.storeScalar(scale, keys.scales, {place});
  }
  e.loop(e.index(0), e.index(cache.size()), 1, [&](Value d) {
    Value k = e.loadScalar(op.getK(), {row, e.add(start, d)});
    k = scale ? emitQuantised(e, k, scale, keys.isQuads() ? kQuadBias : 0)
              : e.narrow(k, keys.element);
    Value at =
        e.add(e.mul(lane, keys.perStep), e.rem(d, e.index(keys.perStep)));
    store(k, keys.elements, e.div(d, keys.perStep), at);
  });
}

void Append::storeValue(const CacheHalf &values, Value row, Value head,
                        Value start) {
  Value place = placeOf(head, row);
  if (!values.scales)
    return e.columns(cache.size(), [&](Value d, int64_t count) {
      Value v = e.load(op.getV(), {row, e.add(start, d)}, count);
      e.store(v, values.elements, {place, d}, count);
    });
  Value scale = emitScale(e, op.getV(), row, start, cache.size());
  e.storeScalar(scale, values.scales, {place});
  e.loop(e.index(0), e.index(cache.size()), 1, [&](Value d) {
    Value v = e.loadScalar(op.getV(), {row, e.add(start, d)});
    v = emitQuantised(e, v, scale, values.isQuads() ? kQuadBias : 0);
    Value at =
        e.add(e.mul(d, values.perStep), e.rem(place, e.index(values.perStep)));
    memref::StoreOp::create(e.b, e.loc, v, values.elements,
                            ValueRange{e.div(place, values.perStep), at});
  });
}

/// Values of bf16: two rows fill pairs; one leaves the other half as it is.
void Append::storePairsOfValues(const CacheHalf &values) {
  VectorType i32 = e.vectorOf(e.b.getI32Type());
  auto store = [&](Value pairs, Value at, Value d, int64_t count) {
    Value indices[] = {at, d};
    if (count == e.lanes)
      vector::StoreOp::create(e.b, e.loc, pairs, values.words,
                              ValueRange(indices));
    else
      vector::MaskedStoreOp::create(e.b, e.loc, values.words,
                                    ValueRange(indices),
                                    e.maskOf(e.index(count)), pairs);
  };
  auto high = [&](Value bits) -> Value {
    return arith::ShLIOp::create(e.b, e.loc, bits, e.integer(i32, 16));
  };
  auto join = [&](Value a, Value b) -> Value {
    return arith::OrIOp::create(e.b, e.loc, a, b);
  };
  Value position = op.getPosition();
  Value end = e.add(position, last);
  e.loop(e.div(e.add(position, first), 2), e.ceilDiv(end, e.index(2)), 1,
         [&](Value pair) {
           Value even = e.mul(pair, 2);
           Value hasEven = e.lessEqual(e.add(position, first), even);
           Value hasOdd = e.less(e.add(even, 1), end);
           Value row = e.sub(e.select(hasEven, even, e.add(even, 1)), position);
           Value hasBoth = arith::AndIOp::create(e.b, e.loc, hasEven, hasOdd);
           eachHead(row, [&](Value head, Value start) {
             Value at = e.div(placeOf(head, row), 2);
             e.columns(cache.size(), [&](Value d, int64_t count) {
               Value column = e.add(start, d);
               Value one = roundedBits(op.getV(), row, column, count);
               e.when(
                   hasBoth,
                   [&] {
                     Value other =
                         roundedBits(op.getV(), e.add(row, 1), column, count);
                     store(join(one, high(other)), at, d, count);
                   },
                   [&] {
                     Value old = loadWords(e, values.words, {at, d}, count);
                     Value kept = e.select(hasEven, e.integer(i32, 0xffff0000),
                                           e.integer(i32, 0xffff));
                     old = arith::AndIOp::create(e.b, e.loc, old, kept);
                     store(join(old, e.select(hasEven, one, high(one))), at, d,
                           count);
                   });
             });
           });
         });
}

void moec::kernels::emitKernel(Emitter &e, lm::AppendOp op, const Slot &slot) {
  KVCache cache = KVCache::of(op);
  // Slots share pairs of positions: no two write to one. Of bytes in fours two
  // may, but each stores its own, one at a time.
  Value position = op.getPosition(), half = e.div(position, 2);
  Value end = e.add(position, e.dim(op.getK(), 0));
  Value pairs = e.sub(e.ceilDiv(end, e.index(2)), half);
  auto [from, to] = e.share(pairs, slot.number, slot.count);
  auto rowOf = [&](Value pair) {
    Value at = e.mul(e.add(half, pair), 2);
    return e.sub(e.min(e.max(at, position), end), position);
  };
  Append append{e, op, cache, rowOf(from), rowOf(to)};
  auto each = [&](function_ref<void(Value, Value, Value)> body) {
    e.loop(append.first, append.last, 1, [&](Value row) {
      append.eachHead(row,
                      [&](Value head, Value start) { body(row, head, start); });
    });
  };
  cache.withKeys(e, [&](const CacheHalf &keys) {
    each([&](Value row, Value head, Value start) {
      append.storeKey(keys, row, head, start);
    });
  });
  cache.withValues(e, [&](const CacheHalf &values) {
    // Half a pair of no rows would still be one.
    if (values.element.isBF16())
      return e.when(e.less(append.first, append.last),
                    [&] { append.storePairsOfValues(values); });
    each([&](Value row, Value head, Value start) {
      append.storeValue(values, row, head, start);
    });
  });
}
