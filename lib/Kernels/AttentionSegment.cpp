//===- AttentionSegment.cpp - Softmax of one segment of positions ---------===//
//
// Part of moe-mlir. A block is widened once for all queries of a unit; a tile
// of queries then shares every vector of keys and values that is loaded. A unit
// of fewer queries than a tile reads them where they lie, and so does a tile
// what it can: f32, and bf16 where there are dot products of pairs.
//
//===----------------------------------------------------------------------===//

#include "AttentionSegment.h"
#include "Elementwise.h"
#include "ISA/DotPairs.h"
#include "ISA/NarrowBF16.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace moec::kernels;

AttentionShape AttentionShape::of(lm::AttentionOp op) {
  KVCache cache = KVCache::of(op);
  return {op.getQ(),
          op.getPosition(),
          cache,
          int64_t(op.getHeads()) / cache.heads(),
          int64_t(op.getWindow()),
          getElementTypeOrSelf(op.getQ().getType()).isBF16()};
}

MemRefType AttentionShape::stateType(Emitter &e) const {
  return MemRefType::get({ShapedType::kDynamic, stateColumns()},
                         e.b.getF32Type());
}

Value AttentionShape::head(Emitter &e, Value kvHead, Value n) const {
  return e.add(e.mul(kvHead, group), e.rem(n, e.index(group)));
}

std::pair<Value, Value> AttentionShape::seen(Emitter &e, Value row) const {
  Value end = e.add(e.add(position, row), 1);
  Value first =
      window ? e.max(e.sub(end, e.index(window)), e.index(0)) : e.index(0);
  return {first, end};
}

std::pair<Value, Value> AttentionShape::segments(Emitter &e, Value first,
                                                 Value last) const {
  return {e.div(seen(e, first).first, kSegment),
          e.ceilDiv(seen(e, last).second, e.index(kSegment))};
}

namespace {
/// Emits the body of a segment function.
class SegmentEmitter {
public:
  SegmentEmitter(Emitter &e, const AttentionShape &shape, double scale,
                 Value kvHead, Value states, Value at)
      : e(e), shape(shape), scale(scale), kvHead(kvHead), states(states),
        firstState(at) {}

  void placeScratch(Value scratch);
  void clear(Value count);
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
  bool isPlaced(Type element, int64_t columns) const;

  Range visible(Value n);
  void eachVisible(Value n, Value first, Value size,
                   function_ref<void(Value, Value, Range)> body);
  void scoreTile(Value block, Value n, Value first, Value size);
  void addTile(Value block, Value n, Value first, Value size);
  void addSingly(Value block, Value n, Value count);
  void addTiles(Value block, Value n, Value count);
  void startBlock(Value block);
  void prepare(Value block);
  void unlessPairs(Value isBF16, function_ref<void()> body);
  void withTileKeys(Value block, function_ref<void(const KeyBlock *)> body);
  void withTileValues(Value block, function_ref<void(const ValueBlock *)> body);
  void dotKeys(int64_t queries, Value n, Value u, const KeyBlock *block);
  Value storeWeights(Value p, Value u, int64_t column);
  void raiseMaximum(Value old, Value maximum, Value u);
  void maskScores(Range range, Value u);
  void addSoftmax(Value n, Value u);
  void addValues(int64_t queries, Value u, Range range,
                 const ValueBlock *block);
  void addColumns(int64_t queries, Value u, Range range, Value column,
                  int64_t count, const ValueBlock *block);

  Emitter &e;
  const AttentionShape &shape;
  double scale;
  /// The state of the unit's query u is row firstState + u, its sum row u.
  Value kvHead, states, firstState, sums;
  Value scores, bf16Weights, wideKeys, wideValues;
  Value keyScales, valueScales; // of the block, null where there are none
  Value tileKeys, tileValues;   // a block in f32
  Value base, from, to;         // of the block
};
} // namespace

void SegmentEmitter::placeScratch(Value scratch) {
  Type f32 = e.b.getF32Type();
  int64_t at = 0;
  auto place = [&](MemRefType type) {
    Value view = e.scratchView(scratch, at, type);
    at += type.getNumElements() * type.getElementTypeBitWidth() / 8;
    return view;
  };
  scores = place(MemRefType::get({kUnit, kBlock}, f32));
  sums = place(MemRefType::get({kUnit, e.lanes}, f32));
  bf16Weights = place(MemRefType::get({kUnit, kBlock}, e.b.getBF16Type()));
  wideKeys = place(shape.cache.wideKeysType(e));
  wideValues = place(shape.cache.wideValuesType(e));
  if (shape.cache.hasScales()) {
    keyScales = place(MemRefType::get({kBlock}, f32));
    valueScales = place(MemRefType::get({kBlock}, f32));
  }
}

/// States of nothing: maximum -inf, sum 0, no values.
void SegmentEmitter::clear(Value count) {
  Value minusInf = e.f32(-std::numeric_limits<double>::infinity());
  e.loop(e.index(0), count, 1, [&](Value u) {
    Value row = e.add(firstState, u);
    e.store(e.splat(0.0), sums, {u, e.index(0)});
    e.columns(shape.stateColumns(), [&](Value column, int64_t) {
      e.store(e.splat(0.0), states, {row, column});
    });
    e.storeScalar(minusInf, states, {row, e.index(shape.maximumColumn())});
  });
}

/// The positions of the block that query n sees.
SegmentEmitter::Range SegmentEmitter::visible(Value n) {
  auto [first, end] = shape.seen(e, shape.row(e, n));
  return {e.max(e.max(first, base), from),
          e.min(e.min(end, e.add(base, kBlock)), to)};
}

/// The pair of bf16 at `memref[indices]`, as i32 in all lanes.
static Value loadPair(Emitter &e, Value memref, ValueRange indices) {
  auto pair = VectorType::get({2}, e.b.getBF16Type());
  Value both = vector::LoadOp::create(e.b, e.loc, pair, memref, indices);
  both = vector::BitCastOp::create(
      e.b, e.loc, VectorType::get({1}, e.b.getI32Type()), both);
  return e.broadcast(
      vector::ExtractOp::create(e.b, e.loc, both, ArrayRef<int64_t>{0}));
}

/// A pair of which the second is 0.
static Value loadHalfPair(Emitter &e, Value memref, ValueRange indices) {
  Value one = memref::LoadOp::create(e.b, e.loc, memref, indices);
  one = arith::BitcastOp::create(e.b, e.loc, e.b.getI16Type(), one);
  return e.broadcast(arith::ExtUIOp::create(e.b, e.loc, e.b.getI32Type(), one));
}

/// acc + the products of a step's elements, the first one before the second;
/// `xs` are one pair, or an f32 for each element.
static Value addStep(Emitter &e, Value acc, ArrayRef<Value> xs,
                     ArrayRef<Value> parts) {
  if (xs.front().getType() != e.vectorType()) {
    auto pairs = VectorType::get({2 * e.lanes}, e.b.getBF16Type());
    return emitDotPairs(
        e, acc, xs.front(),
        vector::BitCastOp::create(e.b, e.loc, pairs, parts.front()));
  }
  for (auto [x, part] : llvm::zip(xs, parts))
    acc = e.fma(x, part, acc);
  return acc;
}

/// scores[u + i][j] = scale * q_i . K[j] for queries n, n + 1, ..., ascending
/// order over the head; keys from the cache's block, or in f32.
void SegmentEmitter::dotKeys(int64_t queries, Value n, Value u,
                             const KeyBlock *block) {
  int64_t size = shape.cache.size(), perStep = block ? block->perStep() : 1;
  bool paired = perStep == 2, dots = paired && takesPairs();
  SmallVector<std::pair<Value, Value>> places; // row and first column of each
  for (int64_t i = 0; i < queries; ++i) {
    Value number = e.add(n, i);
    places.push_back(
        {shape.row(e, number), e.mul(shape.head(e, kvHead, number), size)});
  }
  // As many positions at once as registers hold accumulators for.
  int64_t vectors = queries == 1 ? kBlock / e.lanes : e.lanes == 16 ? 4 : 2;
  e.loop(e.index(0), e.index(kBlock), vectors * e.lanes, [&](Value first) {
    auto position = [&](int64_t v) { return e.add(first, v * e.lanes); };
    auto step = [&](Value step, ValueRange c, int64_t count) {
      SmallVector<SmallVector<Value>> k;
      for (int64_t v = 0; v < vectors; ++v) {
        k.push_back({block ? block->load(step, position(v))
                           : e.load(tileKeys, {step, position(v)})});
        if (paired && !dots) {
          auto [even, odd] = splitPairs(e, k.back().front());
          k.back() = {even, odd};
        }
      }
      SmallVector<Value> next;
      for (auto [i, place] : llvm::enumerate(places)) {
        Value column = e.add(place.second, e.mul(step, perStep));
        SmallVector<Value> xs;
        if (dots)
          xs = {count == 2 ? loadPair(e, shape.q, {place.first, column})
                           : loadHalfPair(e, shape.q, {place.first, column})};
        for (int64_t s = 0; s < count && !dots; ++s)
          xs.push_back(e.broadcast(
              e.loadScalar(shape.q, {place.first, e.add(column, s)})));
        for (int64_t v = 0; v < vectors; ++v)
          next.push_back(addStep(e, c[i * vectors + v], xs, k[v]));
      }
      return next;
    };
    SmallVector<Value> sums(queries * vectors, e.splat(0.0));
    sums = e.loop(e.index(0), e.index(size / perStep), 1, sums,
                  [&](Value s, ValueRange c) { return step(s, c, perStep); });
    if (size % perStep)
      sums = step(e.index(size / perStep), sums, 1);
    for (auto [i, sum] : llvm::enumerate(sums)) {
      Value at = position(i % vectors);
      if (keyScales)
        sum = e.mulf(sum, e.load(keyScales, {at}));
      e.store(e.mulf(sum, e.splat(scale)), scores, {e.add(u, i / vectors), at});
    }
  });
}

void SegmentEmitter::finish(Value count) {
  e.loop(e.index(0), count, 1, [&](Value u) {
    Value sum = e.reduceAdd(e.load(sums, {u, e.index(0)}));
    e.storeScalar(sum, states,
                  {e.add(firstState, u), e.index(shape.sumColumn())});
  });
}

/// Stores weights of values as products take them: those of q8_0 multiplied by
/// the values' scales, those of bf16 rounded to bf16 for queries that are bf16.
/// Returns the weights, so rounded.
Value SegmentEmitter::storeWeights(Value p, Value u, int64_t column) {
  Type bf16 = e.b.getBF16Type();
  Value areShort =
      shape.hasBF16Queries ? shape.cache.valuesAre(e, bf16) : Value();
  if (areShort) {
    Value rounded = takesPairs() ? emitNarrowBF16(e, p) : e.narrow(p, bf16);
    if (takesPairs())
      vector::StoreOp::create(e.b, e.loc, rounded, bf16Weights,
                              ValueRange{u, e.index(column)});
    p = e.select(areShort, e.widen(rounded), p);
  }
  Value at = e.index(column);
  e.store(valueScales ? e.mulf(p, e.load(valueScales, {at})) : p, scores,
          {u, at});
  return p;
}

/// Brings a state to a larger maximum.
void SegmentEmitter::raiseMaximum(Value old, Value maximum, Value u) {
  Value row = e.add(firstState, u);
  Value factor = e.broadcast(emitExpNonPositive(e, e.subf(old, maximum)));
  auto scaled = [&](Value memref, ValueRange at) {
    e.store(e.mulf(e.load(memref, at), factor), memref, at);
  };
  scaled(sums, {u, e.index(0)});
  e.columns(shape.cache.paddedSize(), [&](Value column, int64_t) {
    scaled(states, {row, column});
  });
  e.storeScalar(maximum, states, {row, e.index(shape.maximumColumn())});
}

/// Scores of positions that a query does not see become -inf.
void SegmentEmitter::maskScores(Range range, Value u) {
  Value minusInf = e.splat(-std::numeric_limits<double>::infinity());
  for (int64_t column = 0; column < kBlock; column += e.lanes) {
    Value start = e.add(base, column);
    auto upTo = [&](Value p) {
      return e.maskOf(e.max(e.sub(p, start), e.index(0)));
    };
    Value before = upTo(range.first);
    before = arith::XOrIOp::create(e.b, e.loc, before,
                                   e.integer(before.getType(), -1));
    Value mask = arith::AndIOp::create(e.b, e.loc, upTo(range.end), before);
    Value at[] = {u, e.index(column)};
    e.store(e.select(mask, e.load(scores, at), minusInf), scores, at);
  }
}

/// One step of the running softmax of query n: its scores become
/// exp(score - maximum), and its state is brought to that maximum.
void SegmentEmitter::addSoftmax(Value n, Value u) {
  Range range = visible(n);
  Value seen = e.sub(range.end, range.first);
  e.when(e.less(seen, e.index(kBlock)), [&] { maskScores(range, u); });
  SmallVector<Value> s;
  Value most;
  for (int64_t column = 0; column < kBlock; column += e.lanes) {
    s.push_back(e.load(scores, {u, e.index(column)}));
    most = most ? e.maxf(most, s.back()) : s.back();
  }
  Value old = e.loadScalar(
      states, {e.add(firstState, u), e.index(shape.maximumColumn())});
  Value maximum = e.maxf(old, e.reduceMax(most));
  // Mostly it stays what it was; a factor of 1 would change no bit.
  Value isSame = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ,
                                       old, maximum);
  e.when(
      isSame, [] {}, [&] { raiseMaximum(old, maximum, u); });
  Value wide = e.broadcast(maximum);
  Value sum = e.load(sums, {u, e.index(0)});
  for (auto [v, score] : llvm::enumerate(s))
    sum = e.addf(sum, storeWeights(emitExpNonPositive(e, e.subf(score, wide)),
                                   u, v * e.lanes));
  e.store(sum, sums, {u, e.index(0)});
}

/// Adds p[j] * V[j] over a range of positions, ascending, to `count` columns of
/// the states of queries that all see it; they share the loads of V. Of a pair
/// that lies in the range by half, the other half counts as 0.
void SegmentEmitter::addColumns(int64_t queries, Value u, Range range,
                                Value column, int64_t count,
                                const ValueBlock *block) {
  int64_t perStep = block ? block->perStep() : 1;
  bool paired = perStep == 2, dots = paired && takesPairs();
  int64_t vectors = llvm::divideCeil(count, e.lanes);
  auto at = [&](int64_t v) { return e.add(column, v * e.lanes); };
  Value row = e.add(firstState, u);
  SmallVector<Value> acc;
  for (int64_t i = 0; i < queries * vectors; ++i)
    acc.push_back(e.load(states, {e.add(row, i / vectors), at(i % vectors)}));

  auto step = [&](Value number, ValueRange c, int64_t mask) {
    Value inBlock = e.sub(number, e.div(base, perStep));
    Value j = e.mul(inBlock, perStep);
    SmallVector<SmallVector<Value>> values;
    for (int64_t v = 0; v < vectors; ++v) {
      Value part = block ? block->load(inBlock, at(v),
                                       std::min(e.lanes, count - v * e.lanes))
                         : e.load(tileValues, {inBlock, at(v)});
      if (mask != -1)
        part = arith::AndIOp::create(e.b, e.loc, part,
                                     e.integer(part.getType(), mask));
      values.push_back({part});
      if (paired && !dots) {
        auto [even, odd] = splitPairs(e, part);
        values.back() = {even, odd};
      }
    }
    SmallVector<Value> next;
    for (int64_t i = 0; i < queries; ++i) {
      SmallVector<Value> ps;
      if (dots)
        ps.push_back(loadPair(e, bf16Weights, {e.add(u, i), j}));
      for (int64_t s = 0; s < perStep && !dots; ++s)
        ps.push_back(
            e.broadcast(e.loadScalar(scores, {e.add(u, i), e.add(j, s)})));
      for (int64_t v = 0; v < vectors; ++v)
        next.push_back(addStep(e, c[i * vectors + v], ps, values[v]));
    }
    return next;
  };
  auto steps = [&](Value first, Value end, int64_t mask) {
    acc = e.loop(first, end, 1, acc, [&](Value number, ValueRange c) {
      return step(number, c, mask);
    });
  };
  if (paired) {
    Value first = e.ceilDiv(range.first, e.index(2)), end = e.div(range.end, 2);
    // Tiles are given whole pairs.
    if (queries == 1)
      steps(e.div(range.first, 2), first, 0xffff0000);
    steps(first, end, -1);
    if (queries == 1)
      steps(end, e.ceilDiv(range.end, e.index(2)), 0xffff);
  } else {
    steps(range.first, range.end, -1);
  }
  for (auto [i, sum] : llvm::enumerate(acc))
    e.store(sum, states, {e.add(row, i / vectors), at(i % vectors)});
}

void SegmentEmitter::addValues(int64_t queries, Value u, Range range,
                               const ValueBlock *block) {
  int64_t columns = shape.cache.size();
  int64_t width = (queries == 1 ? 8 : e.lanes == 16 ? 4 : 2) * e.lanes;
  int64_t whole = columns / width * width;
  auto add = [&](Value column, int64_t count) {
    addColumns(queries, u, range, column, count, block);
  };
  e.when(e.less(range.first, range.end), [&] {
    if (whole)
      e.loop(e.index(0), e.index(whole), width,
             [&](Value column) { add(column, width); });
    if (whole < columns)
      add(e.index(whole), columns - whole);
  });
}

/// Whether tiles read a half of this element type as it lies, in rows of
/// `columns`.
bool SegmentEmitter::isPlaced(Type element, int64_t columns) const {
  if (element.isBF16())
    return takesPairs();
  return element.isF32() && columns % kMostLanes == 0;
}

/// What every way through a block begins with: its scales.
void SegmentEmitter::startBlock(Value block) {
  if (!shape.cache.hasScales())
    return;
  shape.cache.withKeys(e, [&](const CacheHalf &half) {
    KeyBlock(e, shape.cache, half, kvHead, block).storeScales(keyScales);
  });
  shape.cache.withValues(e, [&](const CacheHalf &half) {
    ValueBlock(e, shape.cache, half, kvHead, block).storeScales(valueScales);
  });
}

/// Brings a block into f32, unless tiles read it as it lies.
void SegmentEmitter::prepare(Value block) {
  const KVCache &cache = shape.cache;
  Type f32 = e.b.getF32Type();
  tileKeys = wideKeys;
  tileValues = wideValues;
  if (Value areWide = cache.keysAre(e, f32))
    tileKeys = e.select(areWide, cache.wideKeys(e, kvHead, block), wideKeys);
  if (Value areWide = cache.valuesAre(e, f32);
      areWide && isPlaced(f32, cache.size()))
    tileValues =
        e.select(areWide, cache.wideValues(e, kvHead, block), wideValues);
  cache.withKeys(e, [&](const CacheHalf &half) {
    if (!isPlaced(half.element, kBlock))
      KeyBlock(e, cache, half, kvHead, block).widen(wideKeys);
  });
  cache.withValues(e, [&](const CacheHalf &half) {
    if (!isPlaced(half.element, cache.size()))
      ValueBlock(e, cache, half, kvHead, block).widen(wideValues);
  });
}

/// Runs `body` on the keys as tiles read them: the block, or null for f32.
void SegmentEmitter::withTileKeys(Value block,
                                  function_ref<void(const KeyBlock *)> body) {
  bool hasOthers = false;
  shape.cache.withKeys(e, [&](const CacheHalf &half) {
    KeyBlock keys(e, shape.cache, half, kvHead, block);
    if (half.pairs && takesPairs())
      body(&keys);
    else
      hasOthers = true;
  });
  if (hasOthers)
    unlessPairs(shape.cache.keysAre(e, e.b.getBF16Type()),
                [&] { body(nullptr); });
}

void SegmentEmitter::withTileValues(
    Value block, function_ref<void(const ValueBlock *)> body) {
  bool hasOthers = false;
  shape.cache.withValues(e, [&](const CacheHalf &half) {
    ValueBlock values(e, shape.cache, half, kvHead, block);
    if (half.pairs && takesPairs())
      body(&values);
    else
      hasOthers = true;
  });
  if (hasOthers)
    unlessPairs(shape.cache.valuesAre(e, e.b.getBF16Type()),
                [&] { body(nullptr); });
}

/// Runs `body` where a half of the cache, which is bf16 if `isBF16` (null: it
/// cannot be), is not multiplied as pairs.
void SegmentEmitter::unlessPairs(Value isBF16, function_ref<void()> body) {
  if (isBF16 && takesPairs())
    e.when(
        isBF16, [] {}, body);
  else
    body();
}

/// Runs `body(n + u, u, positions)` on those queries u of a tile that see any
/// of the block.
void SegmentEmitter::eachVisible(Value n, Value first, Value size,
                                 function_ref<void(Value, Value, Range)> body) {
  e.loop(first, e.add(first, size), 1, [&](Value u) {
    Value m = e.add(n, u);
    Range range = visible(m);
    e.when(e.less(range.first, range.end), [&] { body(m, u, range); });
  });
}

/// Scores and softmax of a tile's queries; those of a whole tile share the
/// loads of K.
void SegmentEmitter::scoreTile(Value block, Value n, Value first, Value size) {
  withTileKeys(block, [&](const KeyBlock *keys) {
    e.when(
        e.equal(size, e.index(kTile)),
        [&] { dotKeys(kTile, e.add(n, first), first, keys); },
        [&] {
          eachVisible(n, first, size,
                      [&](Value m, Value u, Range) { dotKeys(1, m, u, keys); });
        });
  });
  eachVisible(n, first, size,
              [&](Value m, Value u, Range) { addSoftmax(m, u); });
}

/// Adds the values of a tile's queries. Those of a whole tile share the loads
/// of V at the positions that all of them see; before and after those each
/// query goes over its own.
void SegmentEmitter::addTile(Value block, Value n, Value first, Value size) {
  Value isWhole = e.equal(size, e.index(kTile)), m = e.add(n, first);
  Range common = visible(m);
  for (int64_t q = 1; q < kTile; ++q) {
    Range range = visible(e.add(m, q));
    common.first = e.max(common.first, range.first);
    common.end = e.min(common.end, range.end);
  }
  // Whole pairs only.
  common.first = e.mul(e.ceilDiv(common.first, e.index(2)), 2);
  common.end = e.mul(e.div(common.end, 2), 2);
  common.first = e.select(isWhole, common.first, base);
  common.end = e.select(isWhole, e.max(common.first, common.end), common.first);
  withTileValues(block, [&](const ValueBlock *values) {
    if (shape.window)
      eachVisible(n, first, size, [&](Value, Value u, Range range) {
        range.end = e.min(range.end, common.first);
        addValues(1, u, range, values);
      });
    addValues(kTile, first, common, values);
    eachVisible(n, first, size, [&](Value, Value u, Range range) {
      range.first = e.max(range.first, common.end);
      addValues(1, u, range, values);
    });
  });
}

/// Few queries read less than widening the block would write. They wait for
/// memory, which changes from keys to values and back.
void SegmentEmitter::addSingly(Value block, Value n, Value count) {
  shape.cache.withValues(e, [&](const CacheHalf &half) {
    ValueBlock(e, shape.cache, half, kvHead, block).prefetch();
  });
  shape.cache.withKeys(e, [&](const CacheHalf &half) {
    KeyBlock(e, shape.cache, half, kvHead, e.add(block, 1)).prefetch();
  });
  eachVisible(n, e.index(0), count, [&](Value m, Value u, Range range) {
    shape.cache.withKeys(e, [&](const CacheHalf &half) {
      KeyBlock keys(e, shape.cache, half, kvHead, block);
      dotKeys(1, m, u, &keys);
    });
    addSoftmax(m, u);
    shape.cache.withValues(e, [&](const CacheHalf &half) {
      ValueBlock values(e, shape.cache, half, kvHead, block);
      addValues(1, u, range, &values);
    });
  });
}

/// First all scores, then all values: a block's keys, or values, leave room for
/// little else in the first-level cache.
void SegmentEmitter::addTiles(Value block, Value n, Value count) {
  auto eachTile = [&](function_ref<void(Value, Value)> body) {
    e.loop(e.index(0), count, kTile, [&](Value first) {
      body(first, e.min(e.sub(count, first), e.index(kTile)));
    });
  };
  prepare(block);
  eachTile([&](Value first, Value size) { scoreTile(block, n, first, size); });
  eachTile([&](Value first, Value size) { addTile(block, n, first, size); });
}

void SegmentEmitter::addBlocks(Value n, Value count, Value low, Value high) {
  from = low;
  to = high;
  Value last = e.sub(e.add(n, count), e.index(1));
  Value lower = e.max(shape.seen(e, shape.row(e, n)).first, from);
  lower = e.min(lower, to);
  Value upper = e.min(shape.seen(e, shape.row(e, last)).second, to);
  upper = e.max(upper, lower);
  e.loop(e.div(lower, kBlock), e.ceilDiv(upper, e.index(kBlock)), 1,
         [&](Value block) {
           base = e.mul(block, kBlock);
           startBlock(block);
           e.when(
               e.less(count, e.index(kTile)),
               [&] { addSingly(block, n, count); },
               [&] { addTiles(block, n, count); });
         });
}

func::FuncOp moec::kernels::getSegmentFunction(Emitter &e, lm::AttentionOp op) {
  auto module = op->getParentOfType<ModuleOp>();
  AttentionShape outer = AttentionShape::of(op);
  lm::StateType type = outer.cache.type;
  double scale = op.getScale().convertToDouble();
  std::string name =
      llvm::formatv("attention_{0}x{1}x{2:$[-]}_{3}_{4}_{5}_{6:x}",
                    type.getHeads(), type.getHeadDim(),
                    llvm::make_range(type.getElementTypes().begin(),
                                     type.getElementTypes().end()),
                    outer.group, getElementTypeOrSelf(outer.q.getType()),
                    outer.window, llvm::bit_cast<uint64_t>(scale));
  if (auto known = module.lookupSymbol<func::FuncOp>(name))
    return known;
  OpBuilder b(module.getContext());
  b.setInsertionPointToEnd(module.getBody());
  Type index = b.getIndexType();
  auto bytes = MemRefType::get({ShapedType::kDynamic}, b.getI8Type());
  SmallVector<Type> types = {
      outer.q.getType(),  bytes, index, index, index, index, index, index,
      outer.stateType(e), index, bytes};
  if (type.isChosen())
    types.append({index, index});
  auto function = func::FuncOp::create(
      b, op.getLoc(), name, FunctionType::get(b.getContext(), types, {}));
  function.setPrivate();
  b.setInsertionPointToStart(function.addEntryBlock());
  Emitter inner(b, op.getLoc(), e.target);
  auto args = function.getArguments();
  Value n = args[5], count = args[6];
  AttentionShape shape = outer;
  shape.q = args[0];
  shape.position = args[3];
  shape.cache.bytes = args[1];
  shape.cache.extent = args[2];
  if (type.isChosen()) {
    shape.cache.keyType = args[11];
    shape.cache.valueType = args[12];
  }
  SegmentEmitter segment(inner, shape, scale, args[4], args[8], args[9]);
  segment.placeScratch(args[10]);
  segment.clear(count);
  Value from = inner.mul(args[7], kSegment);
  Value to = inner.add(from, kSegment);
  if (e.target.blocksFromChunk) {
    // What is in the cache, then the chunk: a block is cut where it starts.
    Value cut = inner.min(inner.max(shape.position, from), to);
    segment.addBlocks(n, count, from, cut);
    segment.addBlocks(n, count, cut, to);
  } else {
    segment.addBlocks(n, count, from, to);
  }
  segment.finish(count);
  func::ReturnOp::create(b, op.getLoc());
  return function;
}
