//===- DequantisedTile.cpp - Register tiles of rows of floats -------------===//
//
// Part of moe-mlir. Weights in a quantised format become f32 in registers,
// code * scale (exact) or fma(code, scale, minimum); then sum = fma(row's
// element, weight, sum), K ascending: the bits of the product with those
// weights in f32.
//
//===----------------------------------------------------------------------===//

#include "GroupLines.h"
#include "ISA/DotQuads.h"

using namespace mlir;
using namespace moec::kernels;

namespace {
/// One group of one tile.
struct FloatTile : GroupLines {
  Value element; // of the packed rows, of the group's first column
  SmallVector<Value> factors, minima; // of the vectors at hand

  FloatTile(TileBuilder &tile, Value group);

  Value loadQuad(int64_t v, Value quad);
  Value withSigns(Value integers, int64_t firstBits);
  Value integerOf(Value quad, int64_t i);
  void loadFactors(int64_t first, int64_t vectors);
  SmallVector<Value> addQuad(Value quad, int64_t first, int64_t vectors,
                             ValueRange before);
  void addGroup(SmallVectorImpl<Value> &acc, int64_t first, int64_t vectors);
};
} // namespace

FloatTile::FloatTile(TileBuilder &tile, Value group) : GroupLines(tile, group) {
  element = e.add(tile.aOffset, e.mul(group, lm::kGroup * tile.rows));
}

/// Columns 4 * quad .. of vector v: a byte each, as integerOf takes it.
Value FloatTile::loadQuad(int64_t v, Value quad) {
  if (!layout.isNibbles())
    return withSigns(loadLine(v, quad), 0x80808080);
  // An odd quad is in the high halves.
  Value shift = e.toI32(e.mul(e.rem(quad, e.index(2)), 4));
  Value raw = loadLine(v, e.div(quad, 2));
  Type i32 = raw.getType();
  raw = arith::ShRUIOp::create(
      e.b, e.loc, raw, vector::BroadcastOp::create(e.b, e.loc, i32, shift));
  if (!layout.isTable())
    return layout.bias ? withSigns(raw, 0x08080808) : raw;
  raw = arith::AndIOp::create(e.b, e.loc, raw, e.integer(i32, 0x0f0f0f0f));
  return emitLookUp(e, raw, layout.table);
}

/// Half of all codes was added to integers: flipping their first bit takes it
/// back.
Value FloatTile::withSigns(Value integers, int64_t firstBits) {
  return arith::XOrIOp::create(e.b, e.loc, integers,
                               e.integer(integers.getType(), firstBits));
}

/// Byte i of each lane, or its low half, as f32.
Value FloatTile::integerOf(Value quad, int64_t i) {
  int64_t bits = layout.isNibbles() && !layout.isTable() ? 4 : 8;
  Type i32 = quad.getType();
  if (int64_t above = 32 - bits - 8 * i)
    quad = arith::ShLIOp::create(e.b, e.loc, quad, e.integer(i32, above));
  Value down = e.integer(i32, 32 - bits);
  if (layout.hasMinimum()) // no sign
    quad = arith::ShRUIOp::create(e.b, e.loc, quad, down);
  else
    quad = arith::ShRSIOp::create(e.b, e.loc, quad, down);
  return arith::SIToFPOp::create(e.b, e.loc, e.vectorType(), quad);
}

void FloatTile::loadFactors(int64_t first, int64_t vectors) {
  factors.clear();
  minima.clear();
  for (int64_t v = first; v < first + vectors; ++v) {
    Value scale = loadScales(v, 0);
    factors.push_back(layout.fraction == 1
                          ? scale
                          : e.mulf(scale, e.splat(1.0 / layout.fraction)));
    if (layout.hasMinimum())
      minima.push_back(loadScales(v, 1));
  }
}

/// Adds the products of four columns of `vectors` vectors from `first` on.
SmallVector<Value> FloatTile::addQuad(Value quad, int64_t first,
                                      int64_t vectors, ValueRange before) {
  SmallVector<Value> sums(before), quads;
  for (int64_t v = first; v < first + vectors; ++v)
    quads.push_back(loadQuad(v, quad));
  Value start = e.add(element, e.mul(quad, 4 * tile.rows));
  for (int64_t i = 0; i < 4; ++i) {
    SmallVector<Value> weights;
    for (int64_t v = 0; v < vectors; ++v) {
      Value integer = integerOf(quads[v], i);
      weights.push_back(minima.empty() ? e.mulf(integer, factors[v])
                                       : e.fma(integer, factors[v], minima[v]));
    }
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value row = tile.broadcastRow(r, e.add(start, i * tile.rows));
      for (int64_t v = 0; v < vectors; ++v) {
        Value &sum = sums[r * vectors + v];
        sum = e.fma(row, weights[v], sum);
      }
    }
  }
  return sums;
}

/// Quads are a loop: of those that stand one after the other LLVM makes floats
/// before the first product.
void FloatTile::addGroup(SmallVectorImpl<Value> &acc, int64_t first,
                         int64_t vectors) {
  loadFactors(first, vectors);
  auto at = [&](int64_t i) -> Value & {
    return acc[i / vectors * tile.vectors() + first + i % vectors];
  };
  SmallVector<Value> sums;
  for (int64_t i = 0; i < tile.rows * vectors; ++i)
    sums.push_back(at(i));
  sums = e.loop(e.index(0), e.index(lm::kGroup / 4), 1, sums,
                [&](Value quad, ValueRange before) {
                  return addQuad(quad, first, vectors, before);
                });
  for (auto [i, sum] : llvm::enumerate(sums))
    at(i) = sum;
}

SmallVector<Value> TileBuilder::accumulateDequantised(Value group,
                                                      ValueRange carried) {
  FloatTile tile(*this, group);
  tile.prefetch();
  SmallVector<Value> acc(carried);
  int64_t together = vectorsAtOnce();
  for (int64_t first = 0; first < vectors(); first += together)
    tile.addGroup(acc, first, together);
  return acc;
}
