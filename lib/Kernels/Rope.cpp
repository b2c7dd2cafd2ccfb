//===- Rope.cpp - Kernels of rotary position embedding --------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "OpKernels.h"

using namespace mlir;
using namespace moec::kernels;

void moec::kernels::emitKernel(Emitter &e, lm::RopeTableOp op,
                               const Slot &slot) {
  Value out = op.getOuts().front();
  int64_t half = columnCount(out) / 2;
  auto [first, last] = e.share(e.dim(out, 0), slot.number, slot.count);
  Type wide = e.vectorOf(e.b.getF64Type());
  Value scale = e.splat(op.getScale().convertToDouble());
  e.loop(first, last, 1, [&](Value row) {
    Value p = e.add(op.getPosition(), row);
    Value i32 = e.toI32(p);
    Value position =
        e.broadcast(arith::SIToFPOp::create(e.b, e.loc, e.b.getF32Type(), i32));
    e.columns(half, [&](Value column, int64_t count) {
      // The product is rounded to f32 before the sine, as in transformers.
      Value angle = e.mulf(position, e.load(op.getInvFreq(), {column}, count));
      angle = arith::ExtFOp::create(e.b, e.loc, wide, angle);
      auto [sine, cosine] = emitSinCos(e, angle);
      auto put = [&](Value v, Value at) {
        v = arith::TruncFOp::create(e.b, e.loc, e.vectorType(), v);
        e.store(e.mulf(v, scale), out, {row, at}, count);
      };
      put(cosine, column);
      put(sine, e.add(column, half));
    });
  });
}

/// Rotates elements (i, i + half) of one head.
static void rotateHalves(Emitter &e, lm::RopeOp op, Value row, Value start,
                         int64_t half) {
  Value x = op.getX(), out = op.getOuts().front();
  e.columns(half, [&](Value column, int64_t count) {
    Value low = e.add(start, column), high = e.add(low, half);
    Value a = e.load(x, {row, low}, count), c = e.load(x, {row, high}, count);
    Value cosine = e.load(op.getTable(), {row, column}, count);
    Value sine = e.load(op.getTable(), {row, e.add(column, half)}, count);
    e.store(e.subf(e.mulf(a, cosine), e.mulf(c, sine)), out, {row, low}, count);
    e.store(e.addf(e.mulf(c, cosine), e.mulf(a, sine)), out, {row, high},
            count);
  });
}

/// Rotates elements (2i, 2i + 1) of one head, one pair at a time.
static void rotateAdjacent(Emitter &e, lm::RopeOp op, Value row, Value start,
                           int64_t half) {
  Value x = op.getX(), out = op.getOuts().front();
  e.loop(e.index(0), e.index(half), 1, [&](Value i) {
    Value low = e.add(start, e.mul(i, 2)), high = e.add(low, 1);
    Value a = e.loadScalar(x, {row, low}), c = e.loadScalar(x, {row, high});
    Value cosine = e.loadScalar(op.getTable(), {row, i});
    Value sine = e.loadScalar(op.getTable(), {row, e.add(i, half)});
    e.storeScalar(e.subf(e.mulf(a, cosine), e.mulf(c, sine)), out, {row, low});
    e.storeScalar(e.addf(e.mulf(c, cosine), e.mulf(a, sine)), out, {row, high});
  });
}

void moec::kernels::emitKernel(Emitter &e, lm::RopeOp op, const Slot &slot) {
  Value x = op.getX(), out = op.getOuts().front();
  int64_t heads = op.getHeads(), size = columnCount(x) / heads;
  int64_t half = columnCount(op.getTable()) / 2;
  auto [first, last] = e.share(e.dim(x, 0), slot.number, slot.count);
  e.loop(first, last, 1, [&](Value row) {
    e.loop(e.index(0), e.index(heads), 1, [&](Value head) {
      Value start = e.mul(head, size);
      if (op.getStyle() == lm::RopeStyle::Halves)
        rotateHalves(e, op, row, start, half);
      else
        rotateAdjacent(e, op, row, start, half);
      Value rest = e.add(start, 2 * half);
      e.columns(size - 2 * half, [&](Value column, int64_t count) {
        Value at = e.add(rest, column);
        e.store(e.load(x, {row, at}, count), out, {row, at}, count);
      });
    });
  });
}
