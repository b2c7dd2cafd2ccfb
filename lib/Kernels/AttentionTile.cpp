//===- AttentionTile.cpp - Products of queries with keys and values -------===//
//
// Part of moe-mlir. A tile of queries shares every vector of keys and values
// that is loaded, and fetches what the unit reads next.
//
//===----------------------------------------------------------------------===//

#include "ISA/DotPairs.h"
#include "SegmentEmitter.h"

using namespace mlir;
using namespace moec::kernels;

/// Fetches part `number` of `parts` of a block that is read next.
void SegmentEmitter::fetch(const KVCache::Place &place, Value number,
                           int64_t parts) {
  // Of f32, which takes most; of others some lines are fetched twice.
  int64_t lines = llvm::divideCeil(kBlock * shape.cache.size() * 4, parts * 64);
  Value bytes = e.div(place.bytes, parts), apart = e.div(bytes, lines);
  Value at = e.add(place.start, e.mul(number, bytes));
  for (int64_t i = 0; i < lines; ++i, at = e.add(at, apart))
    memref::PrefetchOp::create(e.b, e.loc, shape.cache.bytes, at,
                               /*isWrite=*/false, /*localityHint=*/2,
                               /*isDataCache=*/true);
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
      if (queries == kTile && count == perStep) {
        int64_t steps = llvm::divideCeil(size, perStep);
        int64_t passes = kBlock / e.lanes / vectors;
        Value pass = e.div(first, vectors * e.lanes);
        fetch(values, e.add(e.mul(pass, steps), step), steps * passes);
      }
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
    if (queries == kTile) {
      int64_t steps = kBlock / perStep;
      Value pass = e.div(column, count);
      int64_t passes = llvm::divideCeil(shape.cache.size(), count);
      fetch(nextKeys, e.add(e.mul(pass, steps), inBlock), steps * passes);
    }
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
  auto addRange = [&](Range part) {
    auto add = [&](Value column, int64_t count) {
      addColumns(queries, u, part, column, count, block);
    };
    if (whole)
      e.loop(e.index(0), e.index(whole), width,
             [&](Value column) { add(column, width); });
    if (whole < columns)
      add(e.index(whole), columns - whole);
  };
  // One query reads from memory: in several passes over few positions, so that
  // it stays one stream.
  constexpr int64_t kTogether = 8;
  e.when(e.less(range.first, range.end), [&] {
    if (queries > 1 || columns <= width)
      return addRange(range);
    e.loop(e.div(range.first, kTogether),
           e.ceilDiv(range.end, e.index(kTogether)), 1, [&](Value number) {
             Value first = e.mul(number, kTogether);
             addRange({e.max(first, range.first),
                       e.min(e.add(first, kTogether), range.end)});
           });
  });
}
