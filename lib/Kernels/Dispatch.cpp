//===- Dispatch.cpp - Kernels from ids to rows and back -------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "OpKernels.h"

using namespace mlir;
using namespace mlir::moe;
using namespace moec::kernels;

/// Rows below which an expert's cost no longer falls: reading its weights
/// takes as long as computing this many rows.
static constexpr int64_t kCostFloor = 8;

static int64_t columnsOf(Value rows) {
  return cast<MemRefType>(rows.getType()).getDimSize(1);
}

/// Counting sort of the (token, slot) pairs by expert. A few microseconds for
/// 512 tokens; the first slot does it alone.
void moec::kernels::emitKernel(Emitter &e, DispatchOp op, const Slot &slot) {
  Value ids = op.getIds(), offsets = op.getOuts()[0], work = op.getOuts()[1];
  Value token = op.getOuts()[2], rowOf = op.getOuts()[3];
  int64_t experts = op.getExperts(), k = columnsOf(ids);
  Value tokens = e.dim(ids, 0);
  Type i32 = e.b.getI32Type();
  auto at = [&](Value buffer, Value i) -> Value {
    return memref::LoadOp::create(e.b, e.loc, buffer, ValueRange{i});
  };
  auto put = [&](Value v, Value buffer, Value i) {
    memref::StoreOp::create(e.b, e.loc, v, buffer, ValueRange{i});
  };
  auto plus = [&](Value a, Value c) -> Value {
    return arith::AddIOp::create(e.b, e.loc, a, c);
  };
  auto forChoices = [&](function_ref<void(Value, Value, Value)> body) {
    e.loop(e.index(0), tokens, 1, [&](Value t) {
      e.loop(e.index(0), e.index(k), 1, [&](Value s) {
        Value id = memref::LoadOp::create(e.b, e.loc, ids, ValueRange{t, s});
        body(t, s, e.toIndex(id));
      });
    });
  };
  e.when(e.equal(slot.number, e.index(0)), [&] {
    Value zero = e.integer(i32, 0), one = e.integer(i32, 1);
    e.loop(e.index(0), e.index(experts + 1), 1,
           [&](Value i) { put(zero, offsets, i); });
    forChoices([&](Value, Value, Value id) {
      Value next = e.add(id, 1);
      put(plus(at(offsets, next), one), offsets, next);
    });
    put(zero, work, e.index(0));
    Value cursor =
        e.scratchView(slot.scratch, 0, MemRefType::get({experts}, i32));
    e.loop(e.index(0), e.index(experts), 1, [&](Value i) {
      Value next = e.add(i, 1), count = at(offsets, next);
      Value start = at(offsets, i);
      put(start, cursor, i);
      put(plus(start, count), offsets, next);
      Value cost =
          arith::MaxSIOp::create(e.b, e.loc, count, e.integer(i32, kCostFloor));
      Value isIdle = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq,
                                           count, zero);
      put(plus(at(work, i), e.select(isIdle, zero, cost)), work, next);
    });
    forChoices([&](Value t, Value s, Value id) {
      Value row = at(cursor, id);
      put(plus(row, one), cursor, id);
      put(e.toI32(t), token, e.toIndex(row));
      put(row, rowOf, e.add(e.mul(t, k), s));
    });
  });
}

void moec::kernels::emitKernel(Emitter &e, CombineOp op, const Slot &slot) {
  Value out = op.getOuts().front(), rowOf = op.getPlan()[3];
  int64_t k = columnsOf(op.getWeights());
  auto [first, last] = e.share(e.dim(out, 0), slot.number, slot.count);
  e.loop(first, last, 1, [&](Value t) {
    SmallVector<Value> rows, weights;
    for (int64_t s = 0; s < k; ++s) {
      Value row = memref::LoadOp::create(e.b, e.loc, rowOf,
                                         ValueRange{e.add(e.mul(t, k), s)});
      rows.push_back(e.toIndex(row));
      weights.push_back(
          e.broadcast(e.loadScalar(op.getWeights(), {t, e.index(s)})));
    }
    e.columns(columnsOf(out), [&](Value column, int64_t count) {
      Value sum = op.getResidual()
                      ? e.load(op.getResidual(), {t, column}, count)
                      : e.splat(0.0);
      for (int64_t s = 0; s < k; ++s)
        sum =
            e.fma(weights[s], e.load(op.getY(), {rows[s], column}, count), sum);
      if (op.getBias())
        sum = e.addf(sum, e.load(op.getBias(), {column}, count));
      e.store(sum, out, {t, column}, count);
    });
  });
}

/// Copies ids and weights behind those of the records before, if the caller
/// gave buffers of a size other than 0.
void moec::kernels::emitKernel(Emitter &e, RecordOp op, const Slot &slot) {
  Value idsOut = op.getOuts()[0], weightsOut = op.getOuts()[1];
  int64_t k = columnsOf(op.getIds());
  Value tokens = e.dim(op.getIds(), 0);
  Value start = e.mul(tokens, op.getExtent().front());
  e.when(e.less(e.index(0), e.dim(idsOut, 0)), [&] {
    auto [first, last] = e.share(tokens, slot.number, slot.count);
    e.loop(first, last, 1, [&](Value t) {
      e.loop(e.index(0), e.index(k), 1, [&](Value s) {
        Value at = e.add(start, e.add(e.mul(t, k), s));
        Value id =
            memref::LoadOp::create(e.b, e.loc, op.getIds(), ValueRange{t, s});
        memref::StoreOp::create(e.b, e.loc, id, idsOut, ValueRange{at});
        Value weight = memref::LoadOp::create(e.b, e.loc, op.getWeights(),
                                              ValueRange{t, s});
        memref::StoreOp::create(e.b, e.loc, weight, weightsOut, ValueRange{at});
      });
    });
  });
}
