//===- AttentionQuads.cpp - Products with q8_0 in integers ----------------===//
//
// Part of moe-mlir. Queries, and the weights of a block's values, become digits
// of a byte (RowDigits.h), and products exact sums of integers: a multiply-add
// of f32 first needs two instructions that bring bytes into f32, and covers a
// fourth of the products. Any number of queries goes the same way, one after
// the other: a block's bytes fit the first-level cache.
//
//===----------------------------------------------------------------------===//

#include "SegmentEmitter.h"

using namespace mlir;
using namespace moec::kernels;

/// Digits of the unit's queries, which all blocks of the segment take.
void SegmentEmitter::storeQueryDigits(Value n, Value count) {
  Value areQuads = shape.cache.keysAreQuads(e);
  if (!areQuads)
    return;
  int64_t size = shape.cache.size();
  e.when(areQuads, [&] {
    e.loop(e.index(0), count, 1, [&](Value u) {
      Value number = e.add(n, u), row = shape.row(e, number);
      Value start = e.mul(shape.head(e, kvHead, number), size);
      RowDigits{e, size, queryDigits, u}.store(
          [&](Value column, int64_t columns) {
            return e.load(shape.q, {row, e.add(start, column)}, columns);
          });
    });
  });
}

/// Each query of a unit's first tile, if that is whole, fetches a part of what
/// the unit reads next: later ones leave memory idle.
void SegmentEmitter::fetchPart(const KVCache::Place &place, Value u,
                               Value first, Value size) {
  Value isFirst = e.equal(first, e.index(0));
  Value isWhole = e.equal(size, e.index(kTile));
  e.when(arith::AndIOp::create(e.b, e.loc, isFirst, isWhole), [&] {
    int64_t bytes = llvm::alignTo(kBlock * shape.cache.size() / kTile, 64);
    Value start = e.add(place.start, e.mul(u, bytes));
    for (int64_t at = 0; at < bytes; at += 64)
      memref::PrefetchOp::create(e.b, e.loc, shape.cache.bytes,
                                 e.add(start, at), /*isWrite=*/false,
                                 /*localityHint=*/2, /*isDataCache=*/true);
  });
}

/// Sums of integers over steps [0, steps) for `vectors` vectors of positions,
/// or columns, from `load(step, vector)`: what they are in f32, less the scale.
static SmallVector<Value> sumQuads(Emitter &e, const RowDigits &digits,
                                   int64_t steps, int64_t vectors,
                                   function_ref<Value(Value, int64_t)> load) {
  constexpr int64_t kDigits = RowDigits::kDigits;
  Value zeros = e.integer(e.vectorOf(e.b.getI32Type()), 0);
  SmallVector<Value> sums(vectors * kDigits, zeros);
  sums = e.loop(
      e.index(0), e.index(steps), 1, sums, [&](Value step, ValueRange before) {
        SmallVector<Value> quad = digits.load(step), next;
        for (int64_t v = 0; v < vectors; ++v)
          llvm::append_range(next,
                             digits.addQuads(before.slice(v * kDigits, kDigits),
                                             quad, load(step, v)));
        return next;
      });
  SmallVector<Value> result;
  for (int64_t v = 0; v < vectors; ++v)
    result.push_back(digits.join(ValueRange(sums).slice(v * kDigits, kDigits)));
  return result;
}

/// scores[u][j] = scale * q . K[j] of the query that is the unit's number u.
void SegmentEmitter::dotQuads(Value u, const KeyBlock &block) {
  int64_t size = shape.cache.size();
  int64_t vectors = std::min<int64_t>(4, kBlock / e.lanes);
  RowDigits digits{e, size, queryDigits, u};
  Value factor = e.broadcast(e.mulf(digits.scale(), e.f32(scale)));
  e.loop(e.index(0), e.index(kBlock), vectors * e.lanes, [&](Value first) {
    auto position = [&](int64_t v) { return e.add(first, v * e.lanes); };
    SmallVector<Value> sums = sumQuads(
        e, digits, llvm::divideCeil(size, 4), vectors,
        [&](Value step, int64_t v) { return block.load(step, position(v)); });
    for (auto [v, sum] : llvm::enumerate(sums)) {
      Value scaled = e.mulf(sum, e.load(keyScales, {position(v)}));
      e.store(e.mulf(scaled, factor), scores, {u, position(v)});
    }
  });
}

/// Adds p[j] * V[j] over a block's positions to the state of the unit's query
/// u; weights of those that it does not see are 0.
void SegmentEmitter::addQuads(Value u, const ValueBlock &block) {
  RowDigits digits{e, kBlock, weightDigits, e.index(0)};
  digits.store([&](Value column, int64_t) {
    return e.load(scores, {u, column});
  });
  Value factor = e.broadcast(digits.scale()), row = e.add(firstState, u);
  auto addColumns = [&](Value column, int64_t count) {
    auto at = [&](int64_t v) { return e.add(column, v * e.lanes); };
    SmallVector<Value> sums =
        sumQuads(e, digits, kBlock / 4, llvm::divideCeil(count, e.lanes),
                 [&](Value step, int64_t v) {
                   return block.load(step, at(v),
                                     std::min(e.lanes, count - v * e.lanes));
                 });
    for (auto [v, sum] : llvm::enumerate(sums)) {
      Value place[] = {row, at(v)};
      e.store(e.fma(sum, factor, e.load(states, place)), states, place);
    }
  };
  // Three sums for each vector of columns.
  int64_t columns = shape.cache.size();
  int64_t width = (e.target.registers >= 32 ? 8 : 4) * e.lanes;
  int64_t whole = columns / width * width;
  if (whole)
    e.loop(e.index(0), e.index(whole), width,
           [&](Value column) { addColumns(column, width); });
  if (whole < columns)
    addColumns(e.index(whole), columns - whole);
}
