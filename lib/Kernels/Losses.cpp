//===- Losses.cpp - Kernels of the routers' auxiliary losses --------------===//
//
// Part of moe-mlir. Formulas are those of lib/Reference/Losses.cpp. A loss is
// one number, so the first slot computes it alone, in f64 and in ascending
// order: it depends on no number of threads.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "OpKernels.h"

using namespace mlir;
using namespace mlir::moe;
using namespace moec::kernels;

namespace {
/// Short names for sums in f64.
struct LossEmitter {
  Emitter &e;
  Type f64 = e.b.getF64Type();

  Value number(double v) { return e.constant(f64, v); }
  Value load(Value memref, ValueRange indices);
  /// A number of things as f64.
  Value count(Value index);
  /// The sum of `term` over [0, count).
  Value sum(Value count, function_ref<Value(Value)> term);
  void addTo(Value table, Value i, Value term);
  void clear(Value table);
  /// Runs `body(t, s, id)` for the ids that lie in a table of `experts`.
  void forIds(Value ids, int64_t experts,
              function_ref<void(Value, Value, Value)> body);
  void store(Value v, Value out);
};
} // namespace

Value LossEmitter::load(Value memref, ValueRange indices) {
  Value v = memref::LoadOp::create(e.b, e.loc, memref, indices);
  return v.getType() == f64 ? v
                            : Value(arith::ExtFOp::create(e.b, e.loc, f64, v));
}

Value LossEmitter::count(Value index) {
  Value i64 = arith::IndexCastOp::create(e.b, e.loc, e.b.getI64Type(), index);
  return arith::SIToFPOp::create(e.b, e.loc, f64, i64);
}

Value LossEmitter::sum(Value count, function_ref<Value(Value)> term) {
  return e.loop(e.index(0), count, 1, ValueRange{number(0)},
                [&](Value i, ValueRange acc) -> SmallVector<Value> {
                  return {e.addf(acc[0], term(i))};
                })[0];
}

void LossEmitter::addTo(Value table, Value i, Value term) {
  Value sum = e.addf(load(table, {i}), term);
  memref::StoreOp::create(e.b, e.loc, sum, table, ValueRange{i});
}

void LossEmitter::clear(Value table) {
  e.loop(e.index(0), e.dim(table, 0), 1, [&](Value i) {
    memref::StoreOp::create(e.b, e.loc, number(0), table, ValueRange{i});
  });
}

void LossEmitter::forIds(Value ids, int64_t experts,
                         function_ref<void(Value, Value, Value)> body) {
  Type i32 = e.b.getI32Type();
  e.loop(e.index(0), e.dim(ids, 0), 1, [&](Value t) {
    e.loop(e.index(0), e.index(columnCount(ids)), 1, [&](Value s) {
      Value id = memref::LoadOp::create(e.b, e.loc, ids, ValueRange{t, s});
      Value isInside = arith::CmpIOp::create(
          e.b, e.loc, arith::CmpIPredicate::ult, id, e.integer(i32, experts));
      e.when(isInside, [&] { body(t, s, e.toIndex(id)); });
    });
  });
}

void LossEmitter::store(Value v, Value out) {
  Type type = cast<MemRefType>(out.getType()).getElementType();
  if (type != f64)
    v = arith::TruncFOp::create(e.b, e.loc, type, v);
  memref::StoreOp::create(e.b, e.loc, v, out, ValueRange());
}

int64_t moec::kernels::lossScratchBytes(LoadBalanceLossOp op) {
  return 16 * columnCount(op.getProbabilities());
}

int64_t moec::kernels::lossScratchBytes(ImportanceLossOp op) {
  return 8 * op.getExperts();
}

void moec::kernels::emitKernel(Emitter &e, LoadBalanceLossOp op,
                               const Slot &slot) {
  LossEmitter loss{e};
  Value probabilities = op.getProbabilities();
  int64_t experts = columnCount(probabilities);
  auto table = MemRefType::get({experts}, loss.f64);
  e.when(e.equal(slot.number, e.index(0)), [&] {
    Value chosen = e.scratchView(slot.scratch, 0, table);
    Value total = e.scratchView(slot.scratch, 8 * experts, table);
    loss.clear(chosen);
    loss.clear(total);
    loss.forIds(op.getIds(), experts, [&](Value, Value, Value id) {
      loss.addTo(chosen, id, loss.number(1));
    });
    Value rows = e.dim(probabilities, 0);
    e.loop(e.index(0), rows, 1, [&](Value t) {
      e.loop(e.index(0), e.index(experts), 1, [&](Value expert) {
        loss.addTo(total, expert, loss.load(probabilities, {t, expert}));
      });
    });
    // Without tokens 0 / 1.
    Value tokens = loss.count(e.max(rows, e.index(1)));
    Value sum = loss.sum(e.index(experts), [&](Value expert) {
      return e.mulf(e.divf(loss.load(chosen, {expert}), tokens),
                    e.divf(loss.load(total, {expert}), tokens));
    });
    double factor = op.getWeight().convertToDouble() * experts;
    loss.store(e.mulf(sum, loss.number(factor)), op.getOuts().front());
  });
}

void moec::kernels::emitKernel(Emitter &e, ZLossOp op, const Slot &slot) {
  LossEmitter loss{e};
  Value logits = op.getLogits(), experts = e.index(columnCount(logits));
  Value least = loss.number(-std::numeric_limits<double>::infinity());
  e.when(e.equal(slot.number, e.index(0)), [&] {
    Value rows = e.dim(logits, 0);
    Value sum = loss.sum(rows, [&](Value t) {
      Value most = e.loop(e.index(0), experts, 1, ValueRange{least},
                          [&](Value c, ValueRange acc) -> SmallVector<Value> {
                            return {e.maxf(loss.load(logits, {t, c}), acc[0])};
                          })[0];
      Value total = loss.sum(experts, [&](Value c) {
        return emitExp64(e, e.subf(loss.load(logits, {t, c}), most));
      });
      Value logSumExp = e.addf(most, emitLog64(e, total));
      return e.mulf(logSumExp, logSumExp);
    });
    Value mean = e.divf(sum, loss.count(e.max(rows, e.index(1))));
    Value weight = loss.number(op.getWeight().convertToDouble());
    loss.store(e.mulf(mean, weight), op.getOuts().front());
  });
}

void moec::kernels::emitKernel(Emitter &e, ImportanceLossOp op,
                               const Slot &slot) {
  LossEmitter loss{e};
  int64_t experts = op.getExperts();
  e.when(e.equal(slot.number, e.index(0)), [&] {
    Value importance =
        e.scratchView(slot.scratch, 0, MemRefType::get({experts}, loss.f64));
    loss.clear(importance);
    loss.forIds(op.getIds(), experts, [&](Value t, Value s, Value id) {
      loss.addTo(importance, id, loss.load(op.getWeights(), {t, s}));
    });
    Value count = e.index(experts), n = loss.number(experts);
    Value mean = e.divf(
        loss.sum(count,
                 [&](Value expert) { return loss.load(importance, {expert}); }),
        n);
    Value variance =
        e.divf(loss.sum(count,
                        [&](Value expert) {
                          Value d =
                              e.subf(loss.load(importance, {expert}), mean);
                          return e.mulf(d, d);
                        }),
               n);
    Value weight = loss.number(op.getWeight().convertToDouble());
    Value divisor = e.addf(e.mulf(mean, mean), loss.number(1e-10));
    loss.store(e.divf(e.mulf(weight, variance), divisor), op.getOuts().front());
  });
}
