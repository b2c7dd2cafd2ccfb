//===- Attention.cpp - Attention over the KV cache ------------------------===//
//
// Part of moe-mlir. Work is cut into units of up to 32 queries of one KV head.
// Where there are too few of them for the slots, as when one token reads a
// long cache, slots first take (unit, segment) pairs and leave the states in
// the scratch of all slots; a second loop merges them. Both ways call the same
// segment function and merge its states in the same order.
//
//===----------------------------------------------------------------------===//

#include "AttentionSegment.h"
#include "Elementwise.h"
#include "OpKernels.h"

using namespace mlir;
using namespace moec::kernels;

/// States that a slot's scratch has room for, for others to merge.
static constexpr int64_t kStatesPerSlot = 128;

namespace {
/// How an op's work is divided.
struct Work {
  Work(Emitter &e, lm::AttentionOp op, Value slots, Value scratch);

  struct Unit {
    Value kvHead, n, count;
    Value firstRow, lastRow;
  };
  Unit unit(Value number) const;
  int64_t stateBytes() const { return shape.stateColumns() * 4; }
  int64_t slotBytes() const {
    return shape.scratchBytes() + 2 * kUnit * stateBytes();
  }

  Value isSplit() const;
  Value ownScratch(Value slot, int64_t bytes, MemRefType type) const;
  /// The states that all slots share, and where those of a unit lie.
  Value sharedStates() const;
  Value sharedRow(const Unit &unit, Value segment) const;
  void callSegment(const Unit &unit, Value segment, Value states, Value at,
                   Value slot) const;

  Emitter &e;
  lm::AttentionOp op;
  AttentionShape shape;
  Value slots, scratch;
  Value queries, unitsPerHead, units, firstSegment, segmentCount;
};
} // namespace

Work::Work(Emitter &e, lm::AttentionOp op, Value slots, Value scratch)
    : e(e), op(op), shape(AttentionShape::of(op)), slots(slots),
      scratch(scratch) {
  Value rows = e.dim(op.getQ(), 0);
  queries = e.mul(rows, shape.group);
  unitsPerHead = e.ceilDiv(queries, e.index(kUnit));
  units = e.mul(unitsPerHead, shape.cache.heads());
  auto [first, end] = shape.segments(e, e.index(0), e.sub(rows, e.index(1)));
  firstSegment = first;
  segmentCount = e.sub(end, first);
}

/// Later rows see more: units are numbered first, last, second, ..., so that
/// any range of numbers costs about as much as another.
Work::Unit Work::unit(Value number) const {
  Unit unit;
  unit.kvHead = e.div(number, unitsPerHead);
  Value i = e.rem(number, unitsPerHead), half = e.div(i, 2);
  Value isEven = e.equal(e.rem(i, e.index(2)), e.index(0));
  Value fromEnd = e.sub(e.sub(unitsPerHead, e.index(1)), half);
  unit.n = e.mul(e.select(isEven, half, fromEnd), kUnit);
  unit.count = e.min(e.sub(queries, unit.n), e.index(kUnit));
  unit.firstRow = shape.row(e, unit.n);
  unit.lastRow = shape.row(e, e.sub(e.add(unit.n, unit.count), e.index(1)));
  return unit;
}

/// Whether slots take segments: there is more than one, whole units would
/// leave slots idle, and the states fit.
Value Work::isSplit() const {
  Value states = e.mul(e.mul(queries, shape.cache.heads()), segmentCount);
  Value room = e.sub(e.dim(scratch, 0), e.mul(slots, slotBytes()));
  Value conditions[] = {e.less(e.index(1), segmentCount),
                        e.less(e.index(0), e.rem(units, slots)),
                        e.less(units, e.mul(slots, 4)),
                        e.lessEqual(e.mul(states, stateBytes()), room)};
  Value all = conditions[0];
  for (Value condition : ArrayRef(conditions).drop_front())
    all = arith::AndIOp::create(e.b, e.loc, all, condition);
  return all;
}

Value Work::ownScratch(Value slot, int64_t bytes, MemRefType type) const {
  Value start = e.add(e.mul(slot, slotBytes()), bytes);
  SmallVector<Value> sizes;
  if (type.getElementType().isInteger(8))
    sizes.push_back(e.index(shape.scratchBytes()));
  else
    sizes.push_back(e.index(kUnit));
  return memref::ViewOp::create(e.b, e.loc, type, scratch, start, sizes);
}

Value Work::sharedStates() const {
  Value start = e.mul(slots, slotBytes());
  Value count = e.div(e.sub(e.dim(scratch, 0), start), e.index(stateBytes()));
  return memref::ViewOp::create(e.b, e.loc, shape.stateType(e), scratch, start,
                                ValueRange{count});
}

Value Work::sharedRow(const Unit &unit, Value segment) const {
  Value all = e.mul(queries, shape.cache.heads());
  Value row = e.mul(e.sub(segment, firstSegment), all);
  return e.add(e.add(row, e.mul(unit.kvHead, queries)), unit.n);
}

void Work::callSegment(const Unit &unit, Value segment, Value states, Value at,
                       Value slot) const {
  auto bytes = MemRefType::get({ShapedType::kDynamic}, e.b.getI8Type());
  Value own = ownScratch(slot, 0, bytes);
  SmallVector<Value> operands = {shape.q,
                                 shape.cache.bytes,
                                 shape.cache.extent,
                                 shape.position,
                                 unit.kvHead,
                                 unit.n,
                                 unit.count,
                                 segment,
                                 states,
                                 at,
                                 own};
  if (shape.cache.type.isChosen())
    operands.append({shape.cache.keyType, shape.cache.valueType});
  func::CallOp::create(e.b, e.loc, getSegmentFunction(e, op), operands);
}

/// The state of a query before its first segment: a sink is one more logit,
/// with no value.
static void beginTotals(const Work &work, const Work::Unit &unit,
                        Value totals) {
  Emitter &e = work.e;
  const AttentionShape &shape = work.shape;
  lm::AttentionOp op = work.op;
  Value sinks = op.getSinks();
  e.loop(e.index(0), unit.count, 1, [&](Value q) {
    e.columns(shape.stateColumns(), [&](Value column, int64_t) {
      e.store(e.splat(0.0), totals, {q, column});
    });
    Value maximum = e.f32(-std::numeric_limits<double>::infinity());
    if (sinks) {
      Value head = shape.head(e, unit.kvHead, e.add(unit.n, q));
      maximum = e.loadScalar(sinks, {head});
      e.storeScalar(e.f32(1.0), totals, {q, e.index(shape.sumColumn())});
    }
    e.storeScalar(maximum, totals, {q, e.index(shape.maximumColumn())});
  });
}

/// Merges one segment's state of a query into its total: both are scaled to
/// the larger maximum.
static void mergeState(Emitter &e, const AttentionShape &shape, Value total,
                       Value q, Value state, Value at) {
  Value maximumColumn = e.index(shape.maximumColumn());
  Value sumColumn = e.index(shape.sumColumn());
  Value a = e.loadScalar(total, {q, maximumColumn});
  Value b = e.loadScalar(state, {at, maximumColumn});
  Value maximum = e.maxf(a, b);
  Value ofTotal = emitExp(e, e.subf(a, maximum));
  Value ofState = emitExp(e, e.subf(b, maximum));
  Value sum = e.fma(e.loadScalar(state, {at, sumColumn}), ofState,
                    e.mulf(e.loadScalar(total, {q, sumColumn}), ofTotal));
  ofTotal = e.broadcast(ofTotal);
  ofState = e.broadcast(ofState);
  e.columns(shape.cache.paddedSize(), [&](Value column, int64_t) {
    Value scaled = e.mulf(e.load(total, {q, column}), ofTotal);
    e.store(e.fma(e.load(state, {at, column}), ofState, scaled), total,
            {q, column});
  });
  e.storeScalar(maximum, total, {q, maximumColumn});
  e.storeScalar(sum, total, {q, sumColumn});
}

/// Merges a segment's states of a unit, of those queries that see any of it.
static void mergeStates(const Work &work, const Work::Unit &unit, Value totals,
                        Value segment, Value states, Value at) {
  Emitter &e = work.e;
  Value first = e.mul(segment, kSegment), end = e.add(first, kSegment);
  e.loop(e.index(0), unit.count, 1, [&](Value q) {
    auto [from, to] = work.shape.seen(e, work.shape.row(e, e.add(unit.n, q)));
    Value sees =
        arith::AndIOp::create(e.b, e.loc, e.less(from, end), e.less(first, to));
    e.when(sees,
           [&] { mergeState(e, work.shape, totals, q, states, e.add(at, q)); });
  });
}

static void writeResult(const Work &work, const Work::Unit &unit,
                        Value totals) {
  Emitter &e = work.e;
  const AttentionShape &shape = work.shape;
  lm::AttentionOp op = work.op;
  Value out = op.getOuts().front();
  e.loop(e.index(0), unit.count, 1, [&](Value q) {
    Value n = e.add(unit.n, q), row = shape.row(e, n);
    Value start = e.mul(shape.head(e, unit.kvHead, n), shape.cache.size());
    Value sum = e.loadScalar(totals, {q, e.index(shape.sumColumn())});
    Value scale = e.broadcast(e.divf(e.f32(1.0), sum));
    e.columns(shape.cache.size(), [&](Value column, int64_t count) {
      e.store(e.mulf(e.load(totals, {q, column}), scale), out,
              {row, e.add(start, column)}, count);
    });
  });
}

Value moec::kernels::needsSegmentsFirst(Emitter &e, lm::AttentionOp op,
                                        Value slots, Value scratch) {
  return Work(e, op, slots, scratch).isSplit();
}

/// This slot's share of (unit, segment) pairs.
static void emitSegments(Emitter &e, lm::AttentionOp op, const Slot &slot) {
  Work work(e, op, slot.count, slot.scratch);
  Value items = e.mul(work.units, work.segmentCount);
  auto [first, last] = e.share(items, slot.number, slot.count);
  Value states = work.sharedStates();
  e.loop(first, last, 1, [&](Value item) {
    Work::Unit unit = work.unit(e.div(item, work.segmentCount));
    Value segment = e.add(work.firstSegment, e.rem(item, work.segmentCount));
    work.callSegment(unit, segment, states, work.sharedRow(unit, segment),
                     slot.number);
  });
}

void moec::kernels::emitKernel(Emitter &e, lm::AttentionOp op,
                               const Slot &slot) {
  if (op->hasAttr(kSegmentsFirstAttr))
    return emitSegments(e, op, slot);
  Work work(e, op, slot.count, slot.scratch);
  MemRefType stateType = work.shape.stateType(e);
  int64_t statesAt = work.shape.scratchBytes();
  Value totals = work.ownScratch(slot.number, statesAt, stateType);
  Value own = work.ownScratch(slot.number, statesAt + kUnit * work.stateBytes(),
                              stateType);
  Value shared = work.sharedStates();
  Value isSplit = work.isSplit();
  auto [first, last] = e.share(work.units, slot.number, slot.count);
  e.loop(first, last, 1, [&](Value number) {
    Work::Unit unit = work.unit(number);
    beginTotals(work, unit, totals);
    auto [from, to] = work.shape.segments(e, unit.firstRow, unit.lastRow);
    e.loop(from, to, 1, [&](Value segment) {
      e.when(
          isSplit,
          [&] {
            mergeStates(work, unit, totals, segment, shared,
                        work.sharedRow(unit, segment));
          },
          [&] {
            work.callSegment(unit, segment, own, e.index(0), slot.number);
            mergeStates(work, unit, totals, segment, own, e.index(0));
          });
    });
    writeResult(work, unit, totals);
  });
}

int64_t moec::kernels::attentionScratchBytes(lm::AttentionOp op) {
  AttentionShape shape = AttentionShape::of(op);
  int64_t states = 2 * kUnit + kStatesPerSlot;
  return shape.scratchBytes() + states * shape.stateColumns() * 4;
}
