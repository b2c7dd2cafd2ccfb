//===- RowPacker.cpp - Rows in the order in which tiles read them ---------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "RowPacker.h"
#include "QuantisedRows.h"

using namespace mlir;
using namespace moec::kernels;

int64_t RowPacker::rowElements() const {
  if (family.isPairs())
    return weight.lines;
  if (family.recipe == Recipe::TilePairs)
    return llvm::alignTo(weight.lines, kMatrixLines);
  return weight.rowElements(e.target);
}

/// One row: packed elements lie side by side, a copy with widening.
void RowPacker::packSingleRow(Value source, Value offset) {
  if (family.isPairs()) {
    packInterleaved(source, offset, e.index(0), e.index(1), 0);
    return;
  }
  e.columns(columns, [&](Value column, int64_t count) {
    // Lanes past the count are zero, which is what the padding wants; the
    // scratch has room for a whole vector past the last row.
    Value v = e.load(x, {source, column}, count);
    int64_t room = std::min<int64_t>(
        e.lanes, rowElements() - (columns / e.lanes * e.lanes));
    e.store(v, packed, {e.add(offset, column)},
            count == e.lanes ? e.lanes : room);
  });
}

/// Transposes 16 vectors of 16 lanes: four rounds of exchanges between vectors
/// i and i + d of the lanes whose number has bit d.
static void transpose16(Emitter &e, SmallVectorImpl<Value> &v) {
  for (int64_t d : {1, 2, 4, 8})
    for (int64_t i = 0; i < 16; ++i) {
      if (i & d)
        continue;
      SmallVector<int64_t> low, high;
      for (int64_t j = 0; j < 16; ++j) {
        low.push_back(j & d ? 16 + j - d : j);
        high.push_back(j & d ? 16 + j : j + d);
      }
      Value a = v[i], c = v[i + d];
      v[i] = vector::ShuffleOp::create(e.b, e.loc, a, c, low);
      v[i + d] = vector::ShuffleOp::create(e.b, e.loc, a, c, high);
    }
}

/// Whole vectors of all rows of a block at once. A store writes 16 lanes where
/// `rows` are wanted; what it writes too much is overwritten by the next, and
/// the scratch has room behind the last.
void RowPacker::packTransposed(Value first, Value rows, Value offset,
                               function_ref<Value(Value)> source) {
  SmallVector<Value> sources;
  Value last = e.sub(rows, e.index(1));
  for (int64_t r = 0; r < family.maxRows(e.target); ++r)
    sources.push_back(source(e.add(first, e.min(e.index(r), last))));
  e.loop(e.index(0), e.index(columns / 16 * 16), 16, [&](Value k) {
    SmallVector<Value> vectors;
    for (Value row : sources)
      vectors.push_back(e.load(x, {row, k}));
    vectors.resize(16, e.splat(0.0));
    transpose16(e, vectors);
    for (int64_t j = 0; j < 16; ++j)
      e.store(vectors[j], packed, {e.add(offset, e.mul(e.add(k, j), rows))});
  });
}

/// Element k of the row, from `firstColumn` on, goes to offset + k * rows +
/// lane.
void RowPacker::packInterleaved(Value source, Value offset, Value lane,
                                Value rows, int64_t firstColumn) {
  int64_t steps = family.stepsPerElement();
  int64_t perVector = e.lanes; // packed elements a vector
  int64_t whole = columns / (perVector * steps) * (perVector * steps);
  Value base = e.add(offset, lane);
  auto put = [&](Value value, Value element) {
    memref::StoreOp::create(e.b, e.loc, value, packed,
                            ValueRange{e.add(base, e.mul(element, rows))});
  };
  if (whole > firstColumn)
    e.loop(
        e.index(firstColumn), e.index(whole), perVector * steps, [&](Value k) {
          Value v;
          if (steps == 2) {
            Type type = VectorType::get({2 * e.lanes}, e.b.getBF16Type());
            Value pairs = vector::LoadOp::create(
                e.b, e.loc, cast<VectorType>(type), x, ValueRange{source, k});
            v = vector::BitCastOp::create(e.b, e.loc,
                                          e.vectorOf(e.b.getI32Type()), pairs);
          } else {
            v = e.load(x, {source, k});
          }
          Value first = e.div(k, steps);
          for (int64_t j = 0; j < perVector; ++j)
            put(vector::ExtractOp::create(e.b, e.loc, v, ArrayRef<int64_t>{j}),
                e.add(first, j));
        });
  // The tail and the padding, element by element.
  for (int64_t k = whole; k < filledColumns(); k += steps) {
    auto scalar = [&](int64_t column) -> Value {
      if (column >= columns)
        return e.constant(cast<MemRefType>(x.getType()).getElementType(), 0.0);
      return memref::LoadOp::create(e.b, e.loc, x,
                                    ValueRange{source, e.index(column)});
    };
    Value value = scalar(k);
    if (steps == 2) {
      Type i16 = e.b.getI16Type(), i32 = e.b.getI32Type();
      auto bits = [&](Value v) -> Value {
        Value half = arith::BitcastOp::create(e.b, e.loc, i16, v);
        return arith::ExtUIOp::create(e.b, e.loc, i32, half);
      };
      Value high = arith::ShLIOp::create(e.b, e.loc, bits(scalar(k + 1)),
                                         e.integer(i32, 16));
      value = arith::OrIOp::create(e.b, e.loc, bits(value), high);
    } else {
      value = e.widen(value);
    }
    put(value, e.index(k / steps));
  }
}

/// Zeros behind the columns of x, which lie behind those of all rows of the
/// block. What is written too much is overwritten by the next block; the
/// scratch has room behind the last.
void RowPacker::clearPadding(Value rows, Value offset) {
  if (filledColumns() == rowElements() * family.stepsPerElement())
    return;
  e.loop(e.mul(rows, filledColumns()), e.mul(rows, rowElements()), e.lanes,
         [&](Value element) {
           e.store(e.splat(0.0), packed, {e.add(offset, element)});
         });
}

/// Pieces of 64 bytes of a block's rows, one row behind the other, as matrix
/// tiles read them; zeros behind the last column.
void RowPacker::packTiles(Value first, Value rows, Value offset,
                          function_ref<Value(Value)> source) {
  int64_t perVector = 2 * e.lanes, perPiece = 2 * kMatrixLines;
  auto type = VectorType::get({perVector}, e.b.getBF16Type());
  e.loop(e.index(0), rows, 1, [&](Value r) {
    Value from = source(e.add(first, r));
    auto put = [&](Value k, Value pairs) {
      Value lanes = vector::BitCastOp::create(
          e.b, e.loc, e.vectorOf(e.b.getI32Type()), pairs);
      Value piece = e.add(e.mul(e.div(k, perPiece), rows), r);
      Value at = e.add(e.mul(piece, kMatrixLines),
                       e.div(e.rem(k, e.index(perPiece)), 2));
      vector::StoreOp::create(e.b, e.loc, lanes, packed,
                              ValueRange{e.add(offset, at)});
    };
    int64_t whole = columns / perVector * perVector;
    e.loop(e.index(0), e.index(whole), perVector, [&](Value k) {
      put(k, vector::LoadOp::create(e.b, e.loc, type, x, ValueRange{from, k}));
    });
    for (int64_t k = whole; k < 2 * rowElements(); k += perVector) {
      Value pairs = e.constant(type, 0.0);
      for (int64_t i = 0; i < std::min(perVector, columns - k); ++i) {
        Value one = memref::LoadOp::create(e.b, e.loc, x,
                                           ValueRange{from, e.index(k + i)});
        pairs = vector::InsertOp::create(e.b, e.loc, one, pairs,
                                         ArrayRef<int64_t>{i});
      }
      put(e.index(k), pairs);
    }
  });
}

void RowPacker::packBlock(Value first, Value rows, Value offset,
                          function_ref<Value(Value)> source) {
  if (family.recipe == Recipe::TilePairs) {
    packTiles(first, rows, offset, source);
    return;
  }
  if (family.recipe == Recipe::GroupSums) {
    auto layout = lm::QuantisedLayout::of(weight.format);
    int64_t groups = layout.paddedColumns(weight.lines) / lm::kGroup;
    Value last = e.sub(rows, e.index(1));
    e.loop(e.index(0), rows, 1, [&](Value r) {
      Value next = e.min(e.add(r, 1), last);
      emitQuantisedRow(e, weight.format, x, source(e.add(first, r)),
                       source(e.add(first, next)), columns, groups, packed,
                       offset, r, rows, family.takesMatrix);
    });
    return;
  }
  e.when(
      e.equal(rows, e.index(1)), [&] { packSingleRow(source(first), offset); },
      [&] {
        bool transposes = e.lanes == 16 && family.recipe == Recipe::WidenFMA;
        int64_t done = transposes ? columns / 16 * 16 : 0;
        if (done)
          packTransposed(first, rows, offset, source);
        if (done == filledColumns()) // nothing left, no padding
          return;
        e.loop(e.index(0), rows, 1, [&](Value r) {
          packInterleaved(source(e.add(first, r)), offset, r, rows, done);
        });
      });
  clearPadding(rows, offset);
}
