//===- PairBlocks.cpp - Pairs of rows by BFMMLA ---------------------------===//
//
// Part of moe-mlir. BFMMLA adds to two rows by two columns four products each,
// as two BFDOT would, one after the other: the same bits as a row alone has. A
// step takes two lines. Zipped, they are what it wants of two columns, and so
// are two rows' elements as they lie.
//
//===----------------------------------------------------------------------===//

#include "ISA/Neon.h"
#include "TileBuilder.h"

using namespace mlir;
using namespace moec::kernels;

namespace {
/// A tile; its sums are of each pair of rows the blocks of two by two.
struct PairBlocks {
  TileBuilder &tile;
  Emitter &e = tile.e;
  int64_t vectors = tile.vectors();
  int64_t perVector = e.lanes / 2, blocks = vectors * perVector;
  int64_t pairs = tile.rows / 2;

  Type i32() { return e.b.getI32Type(); }
  Value shuffle(Value a, Value c, ArrayRef<int64_t> lanes) {
    return vector::ShuffleOp::create(e.b, e.loc, a, c, lanes);
  }
  Value loadRows(int64_t pair, Value k);
  Value loadWeights(int64_t v, Value k);
  SmallVector<Value> step(Value k, ValueRange before, bool isWhole);
  SmallVector<Value> finish(ValueRange sums);
};
} // namespace

/// Element k of two rows.
Value PairBlocks::loadRows(int64_t pair, Value k) {
  auto type = VectorType::get({2}, i32());
  Value at = e.add(tile.aOffset, e.add(e.mul(k, tile.rows), 2 * pair));
  return vector::LoadOp::create(e.b, e.loc, type, tile.a, ValueRange{at});
}

Value PairBlocks::loadWeights(int64_t v, Value k) {
  return vector::BitCastOp::create(
      e.b, e.loc, cast<VectorType>(e.vectorOf(i32())), tile.loadPairs(v, k));
}

/// Adds lines k and k + 1, or (not isWhole) line k only: beside it rows are -0
/// and weights 0, whose products leave every sum as it is, -0 among them.
SmallVector<Value> PairBlocks::step(Value k, ValueRange before, bool isWhole) {
  SmallVector<Value> sums(before), rows;
  Value next = e.add(k, 1);
  for (int64_t p = 0; p < pairs; ++p) {
    Value one = loadRows(p, k);
    Value two =
        isWhole ? loadRows(p, next) : e.integer(one.getType(), 0x80008000);
    rows.push_back(shuffle(one, two, {0, 2, 1, 3}));
  }
  for (int64_t v = 0; v < vectors; ++v) {
    Value one = loadWeights(v, k);
    Value two = isWhole ? loadWeights(v, next) : e.integer(one.getType(), 0);
    for (int64_t i = 0; i < perVector; ++i) {
      int64_t j = 2 * i, other = e.lanes + j;
      Value columns = shuffle(one, two, {j, other, j + 1, other + 1});
      for (int64_t p = 0; p < pairs; ++p) {
        Value &sum = sums[p * blocks + v * perVector + i];
        sum = emitNeonOddBlock(e, sum, rows[p], columns);
      }
    }
  }
  return sums;
}

/// A vector of sums for each row and vector of the tile.
SmallVector<Value> PairBlocks::finish(ValueRange sums) {
  SmallVector<Value> result;
  for (int64_t r = 0; r < tile.rows; ++r)
    for (int64_t v = 0; v < vectors; ++v) {
      ValueRange those = sums.slice(r / 2 * blocks + v * perVector, perVector);
      int64_t at = r % 2 * 2; // of the row in a block
      auto join = [&](int64_t i) {
        return shuffle(those[i], those[i + 1], {at, at + 1, at + 4, at + 5});
      };
      result.push_back(shuffle(join(0), join(2), {0, 1, 2, 3, 4, 5, 6, 7}));
    }
  return result;
}

SmallVector<Value> TileBuilder::multiplyBlocks() {
  PairBlocks all{*this};
  Value whole = e.mul(e.div(lines, 2), 2);
  Value none = e.constant(VectorType::get({4}, e.b.getF32Type()), 0.0);
  SmallVector<Value> sums(all.pairs * all.blocks, none);
  sums = e.loop(e.index(0), whole, 2, sums, [&](Value k, ValueRange sums) {
    prefetch(k);
    prefetch(e.add(k, 1));
    return all.step(k, sums, /*isWhole=*/true);
  });
  sums = e.loop(whole, lines, 1, sums, [&](Value k, ValueRange sums) {
    return all.step(k, sums, /*isWhole=*/false);
  });
  return all.finish(sums);
}
