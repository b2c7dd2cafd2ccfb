//===- Dispatch.cpp - The kernel that makes a plan ------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Keys.h"
#include "OpKernels.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;
using namespace moec::kernels;

/// Rows below which an expert's cost no longer falls: reading its weights
/// takes as long as computing this many rows.
static constexpr int64_t kCostFloor = 8;

namespace {
/// Makes a plan: a counting sort of the (token, slot) pairs by expert. With a
/// capacity the sorted rows hold numbers of choices first, token * k + slot,
/// and are then closed up over those turned away.
class PlanEmitter {
public:
  PlanEmitter(Emitter &e, DispatchOp op, Value cursor)
      : e(e), op(op), ids(op.getIds()), offsets(op.getOuts()[0]),
        work(op.getOuts()[1]), token(op.getOuts()[2]), rowOf(op.getOuts()[3]),
        cursor(cursor), tokens(e.dim(ids, 0)), experts(op.getExperts()),
        k(columnCount(ids)), i32(e.b.getI32Type()), i64(e.b.getI64Type()) {}

  void group();
  void turnAway();

private:
  Value at(Value buffer, Value i) {
    return memref::LoadOp::create(e.b, e.loc, buffer, ValueRange{i});
  }
  void put(Value v, Value buffer, Value i) {
    memref::StoreOp::create(e.b, e.loc, v, buffer, ValueRange{i});
  }
  Value plus(Value a, Value c) {
    return arith::AddIOp::create(e.b, e.loc, a, c);
  }
  Value minus(Value a, Value c) {
    return arith::SubIOp::create(e.b, e.loc, a, c);
  }
  Value compare(arith::CmpIPredicate predicate, Value a, Value c) {
    return arith::CmpIOp::create(e.b, e.loc, predicate, a, c);
  }
  void forChoices(
      function_ref<void(Value t, Value s, Value isPlanned, Value id)> body);
  void addWork(Value expert, Value count);
  Value capacity();
  Value keyOf(Value choice);
  int64_t keyBits();
  Value lowestKept(Value start, Value end, Value capacity);

  Emitter &e;
  DispatchOp op;
  Value ids, offsets, work, token, rowOf, cursor, tokens;
  int64_t experts, k;
  Type i32, i64;
};
} // namespace

/// Ids of zero-compute experts, `experts` or more, get no row.
void PlanEmitter::forChoices(
    function_ref<void(Value, Value, Value, Value)> body) {
  e.loop(e.index(0), tokens, 1, [&](Value t) {
    e.loop(e.index(0), e.index(k), 1, [&](Value s) {
      Value id = memref::LoadOp::create(e.b, e.loc, ids, ValueRange{t, s});
      Value isPlanned =
          compare(arith::CmpIPredicate::ult, id, e.integer(i32, experts));
      body(t, s, isPlanned, e.toIndex(id));
    });
  });
}

/// work[expert + 1] = work[expert] + what `count` rows cost.
void PlanEmitter::addWork(Value expert, Value count) {
  Value zero = e.integer(i32, 0);
  Value cost =
      arith::MaxSIOp::create(e.b, e.loc, count, e.integer(i32, kCostFloor));
  Value isIdle = compare(arith::CmpIPredicate::eq, count, zero);
  put(plus(at(work, expert), e.select(isIdle, zero, cost)), work,
      e.add(expert, 1));
}

void PlanEmitter::group() {
  Value zero = e.integer(i32, 0), one = e.integer(i32, 1);
  bool isBounded = op.getOverflow() != Overflow::None;
  e.loop(e.index(0), e.index(experts + 1), 1,
         [&](Value i) { put(zero, offsets, i); });
  forChoices([&](Value, Value, Value isPlanned, Value id) {
    e.when(isPlanned, [&] {
      Value next = e.add(id, 1);
      put(plus(at(offsets, next), one), offsets, next);
    });
  });
  put(zero, work, e.index(0));
  e.loop(e.index(0), e.index(experts), 1, [&](Value i) {
    Value next = e.add(i, 1), count = at(offsets, next);
    Value start = at(offsets, i);
    put(start, cursor, i);
    put(plus(start, count), offsets, next);
    addWork(i, count);
  });
  forChoices([&](Value t, Value s, Value isPlanned, Value id) {
    Value choice = e.add(e.mul(t, k), s);
    e.when(
        isPlanned,
        [&] {
          Value row = at(cursor, id);
          put(plus(row, one), cursor, id);
          put(e.toI32(isBounded ? choice : t), token, e.toIndex(row));
          put(row, rowOf, choice);
        },
        [&] { put(e.integer(i32, -1), rowOf, choice); });
  });
}

/// Rows that an expert takes at most, an index.
Value PlanEmitter::capacity() {
  int64_t least = op.getMinCapacity();
  if (op.getCapacity())
    return e.index(std::max<int64_t>(*op.getCapacity(), least));
  Type f64 = e.b.getF64Type();
  Value choices = e.mul(tokens, k);
  Value count = arith::SIToFPOp::create(
      e.b, e.loc, f64, arith::IndexCastOp::create(e.b, e.loc, i64, choices));
  double factor = op.getCapacityFactor()->convertToDouble();
  Value share =
      e.divf(e.mulf(e.constant(f64, factor), count), e.constant(f64, experts));
  share = math::CeilOp::create(e.b, e.loc, share);
  // There are no more than all choices, and those an integer can hold.
  Value isMore = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OGT,
                                       share, count);
  share = e.select(isMore, count, share);
  Value whole = arith::FPToSIOp::create(e.b, e.loc, i64, share);
  return e.max(
      arith::IndexCastOp::create(e.b, e.loc, e.b.getIndexType(), whole),
      e.index(least));
}

/// Bits of `keyOf`.
int64_t PlanEmitter::keyBits() {
  return op.getOverflow() == Overflow::Probability ? 63 : 31;
}

/// An i64, not negative, and no two are equal: a full expert serves the
/// largest first. The low 31 bits are the complement of a place in a queue.
Value PlanEmitter::keyOf(Value choice) {
  Value t = e.div(choice, k), s = e.rem(choice, e.index(k));
  Value place = op.getOverflow() == Overflow::SlotMajor
                    ? e.add(e.mul(s, tokens), t)
                    : choice;
  Value low = minus(e.integer(i64, 0x7fffffff),
                    arith::IndexCastOp::create(e.b, e.loc, i64, place));
  if (op.getOverflow() != Overflow::Probability)
    return low;
  Value weight = e.loadScalar(op.getWeights().front(), {t, s});
  Value high = arith::ExtSIOp::create(e.b, e.loc, i64, orderedBits(e, weight));
  high = plus(high, e.integer(i64, int64_t(1) << 31));
  high = arith::ShLIOp::create(e.b, e.loc, high, e.integer(i64, 31));
  return arith::OrIOp::create(e.b, e.loc, high, low);
}

/// The key of the last choice that an expert serves of those in rows
/// [start, end): found bit by bit, as the largest number that `capacity` keys
/// reach. 0, which all reach, if there is room for all.
Value PlanEmitter::lowestKept(Value start, Value end, Value capacity) {
  Value fits = e.lessEqual(e.sub(end, start), capacity);
  Value bits = e.select(fits, e.index(0), e.index(keyBits()));
  Value top = e.integer(i64, int64_t(1) << (keyBits() - 1));
  return e.loop(
      e.index(0), bits, 1, ValueRange{e.integer(i64, 0)},
      [&](Value i, ValueRange known) -> SmallVector<Value> {
        Value bit = arith::ShRUIOp::create(
            e.b, e.loc, top, arith::IndexCastOp::create(e.b, e.loc, i64, i));
        Value candidate = arith::OrIOp::create(e.b, e.loc, known[0], bit);
        Value reaching =
            e.loop(start, end, 1, ValueRange{e.index(0)},
                   [&](Value row, ValueRange count) -> SmallVector<Value> {
                     Value key = keyOf(e.toIndex(at(token, row)));
                     Value reaches =
                         compare(arith::CmpIPredicate::sge, key, candidate);
                     return {e.add(count[0],
                                   e.select(reaches, e.index(1), e.index(0)))};
                   })[0];
        return {e.select(e.lessEqual(capacity, reaching), candidate, known[0])};
      })[0];
}

/// Drops what experts have no room for. A row is read before its place is
/// written, since places never overtake rows.
void PlanEmitter::turnAway() {
  Value most = capacity(), zero = e.index(0);
  e.loop(e.index(0), e.index(experts), 1, {zero, zero},
         [&](Value expert, ValueRange carried) -> SmallVector<Value> {
           Value start = carried[0], placed = carried[1];
           Value next = e.add(expert, 1);
           Value end = e.toIndex(at(offsets, next));
           Value least = lowestKept(start, end, most);
           Value full = e.loop(
               start, end, 1, ValueRange{placed},
               [&](Value row, ValueRange place) -> SmallVector<Value> {
                 Value choice = e.toIndex(at(token, row));
                 Value isKept =
                     compare(arith::CmpIPredicate::sge, keyOf(choice), least);
                 put(e.select(isKept, e.toI32(place[0]), e.integer(i32, -1)),
                     rowOf, choice);
                 put(e.toI32(e.div(choice, k)), token, place[0]);
                 return {e.select(isKept, e.add(place[0], 1), place[0])};
               })[0];
           put(e.toI32(full), offsets, next);
           addWork(expert, e.toI32(e.sub(full, placed)));
           return {end, full};
         });
}

/// The first slot makes the plan alone: a few microseconds for 512 tokens.
void moec::kernels::emitKernel(Emitter &e, DispatchOp op, const Slot &slot) {
  e.when(e.equal(slot.number, e.index(0)), [&] {
    Value cursor = e.scratchView(
        slot.scratch, 0,
        MemRefType::get({int64_t(op.getExperts())}, e.b.getI32Type()));
    PlanEmitter plan(e, op, cursor);
    plan.group();
    if (op.getOverflow() != Overflow::None)
      plan.turnAway();
  });
}
