//===- Rows.cpp - Kernels that work row by row ----------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "OpKernels.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace moec::kernels;

/// Runs `body(row)` over this slot's share of the rows of `rows`.
static void forRows(Emitter &e, Value rows, const Slot &slot,
                    function_ref<void(Value)> body) {
  auto [first, last] = e.share(e.dim(rows, 0), slot.number, slot.count);
  e.loop(first, last, 1, body);
}

void moec::kernels::emitKernel(Emitter &e, lm::EmbeddingOp op,
                               const Slot &slot) {
  Value out = op.getOuts().front();
  double scale = op.getScale().convertToDouble();
  forRows(e, out, slot, [&](Value row) {
    Value token = e.toIndex(
        memref::LoadOp::create(e.b, e.loc, op.getTokens(), ValueRange{row}));
    e.columns(columnCount(out), [&](Value column, int64_t count) {
      Value v = e.load(op.getTable(), {token, column}, count);
      if (scale != 1.0)
        v = e.mulf(v, e.splat(scale));
      e.store(v, out, {row, column}, count);
    });
  });
}

/// Sum over `columns` elements from `start` of f(x), in `lanes` partial sums.
static Value sumOver(Emitter &e, Value x, Value row, Value start,
                     int64_t columns, function_ref<Value(Value, Value)> add) {
  Value zero = e.splat(0.0);
  SmallVector<Value> sums = e.columns(
      columns, zero,
      [&](Value column, int64_t count, ValueRange c) -> SmallVector<Value> {
        Value v = e.load(x, {row, e.add(start, column)}, count);
        Value next = add(c[0], v);
        if (count < e.lanes)
          next = e.select(e.maskOf(e.index(count)), next, c[0]);
        return {next};
      });
  return e.reduceAdd(sums[0]);
}

static Value reciprocalRoot(Emitter &e, Value mean, double eps) {
  Value root = math::SqrtOp::create(e.b, e.loc, e.addf(mean, e.f32(eps)));
  return e.divf(e.f32(1.0), root);
}

void moec::kernels::emitKernel(Emitter &e, lm::RMSNormOp op, const Slot &slot) {
  Value x = op.getX(), out = op.getOuts().front(), weight = op.getWeight();
  int64_t groups = op.getGroups(), columns = columnCount(x) / groups;
  forRows(e, x, slot, [&](Value row) {
    e.loop(e.index(0), e.index(groups), 1, [&](Value group) {
      Value start = e.mul(group, columns);
      Value sum = sumOver(e, x, row, start, columns,
                          [&](Value acc, Value v) { return e.fma(v, v, acc); });
      Value mean = e.divf(sum, e.f32(columns));
      Value scale =
          e.broadcast(reciprocalRoot(e, mean, op.getEps().convertToDouble()));
      e.columns(columns, [&](Value column, int64_t count) {
        Value at = e.add(start, column);
        Value v = e.mulf(e.load(x, {row, at}, count), scale);
        v = e.mulf(v, e.load(weight, {column}, count));
        if (op.getClip())
          v = emitClip(e, v, op.getClip()->convertToDouble());
        e.store(v, out, {row, at}, count);
      });
    });
  });
}

void moec::kernels::emitKernel(Emitter &e, lm::LayerNormOp op,
                               const Slot &slot) {
  Value x = op.getX(), out = op.getOuts().front();
  int64_t columns = columnCount(x);
  forRows(e, x, slot, [&](Value row) {
    Value zero = e.index(0), n = e.f32(columns);
    Value sum = sumOver(e, x, row, zero, columns,
                        [&](Value acc, Value v) { return e.addf(acc, v); });
    Value mean = e.broadcast(e.divf(sum, n));
    Value squares = sumOver(e, x, row, zero, columns, [&](Value acc, Value v) {
      Value d = e.subf(v, mean);
      return e.fma(d, d, acc);
    });
    Value scale = e.broadcast(
        reciprocalRoot(e, e.divf(squares, n), op.getEps().convertToDouble()));
    e.columns(columns, [&](Value column, int64_t count) {
      Value v = e.subf(e.load(x, {row, column}, count), mean);
      v = e.mulf(e.mulf(v, scale), e.load(op.getWeight(), {column}, count));
      if (op.getBias())
        v = e.addf(v, e.load(op.getBias(), {column}, count));
      e.store(v, out, {row, column}, count);
    });
  });
}

void moec::kernels::emitKernel(Emitter &e, lm::AddOp op, const Slot &slot) {
  Value out = op.getOuts().front();
  forRows(e, out, slot, [&](Value row) {
    e.columns(columnCount(out), [&](Value column, int64_t count) {
      Value sum = e.addf(e.load(op.getLhs(), {row, column}, count),
                         e.load(op.getRhs(), {row, column}, count));
      e.store(sum, out, {row, column}, count);
    });
  });
}

void moec::kernels::emitKernel(Emitter &e, lm::ActivateOp op,
                               const Slot &slot) {
  Value out = op.getOuts().front();
  forRows(e, out, slot, [&](Value row) {
    e.columns(columnCount(out), [&](Value column, int64_t count) {
      Value v = e.load(op.getX(), {row, column}, count);
      e.store(emitActivation(e, op.getFunction(), v), out, {row, column},
              count);
    });
  });
}

void moec::kernels::emitKernel(Emitter &e, lm::GatedOp op, const Slot &slot) {
  Value out = op.getOuts().front();
  int64_t columns = columnCount(out);
  forRows(e, out, slot, [&](Value row) {
    e.columns(columns, [&](Value column, int64_t count) {
      Value gate = e.load(op.getX(), {row, column}, count);
      Value up = e.load(op.getX(), {row, e.add(column, columns)}, count);
      Value v = e.mulf(emitActivation(e, op.getFunction(), gate), up);
      e.store(v, out, {row, column}, count);
    });
  });
}

void moec::kernels::emitKernel(Emitter &e, lm::ScaledAddOp op,
                               const Slot &slot) {
  Value out = op.getOuts().front();
  forRows(e, out, slot, [&](Value row) {
    Value scale = e.loadScalar(op.getScale(), {row, e.index(0)});
    scale = e.broadcast(emitActivation(e, op.getFunction(), scale));
    e.columns(columnCount(out), [&](Value column, int64_t count) {
      Value v = e.fma(scale, e.load(op.getY(), {row, column}, count),
                      e.load(op.getAcc(), {row, column}, count));
      e.store(v, out, {row, column}, count);
    });
  });
}

void moec::kernels::emitKernel(Emitter &e, lm::LastRowsOp op,
                               const Slot &slot) {
  Value out = op.getOuts().front();
  Value skipped = e.sub(e.dim(op.getX(), 0), op.getRows());
  forRows(e, out, slot, [&](Value row) {
    e.columns(columnCount(out), [&](Value column, int64_t count) {
      Value v = e.load(op.getX(), {e.add(row, skipped), column}, count);
      e.store(v, out, {row, column}, count);
    });
  });
}
