//===- Attention.cpp - Kernels over the KV cache --------------------------===//
//
// Part of moe-mlir. The cache of one layer: keys as [kv head][position / 16]
// [head size][16 positions], so that a vector holds one element of 16 keys;
// values as [kv head][position][head size]. Positions are counted from 0, and
// blocks of 64 of them are the unit of the running softmax, whatever the chunk:
// that is what keeps a row's bits independent of how a prompt was cut.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "OpKernels.h"

using namespace mlir;
using namespace moec::kernels;

static constexpr int64_t kPanel = 16, kBlock = 64;

namespace {
/// Views of one layer's cache.
struct Cache {
  Value keys;   // memref<? x head size x 16>, index head * panels + panel
  Value values; // memref<? x head size>, index head * extent + position
  Value panels, extent;
  int64_t heads, size;
};
} // namespace

static Cache viewCache(Emitter &e, Value bytes, Value extent,
                       lm::StateType type) {
  int64_t heads = type.getHeads(), size = type.getHeadDim();
  int64_t width = type.getElementType().getIntOrFloatBitWidth() / 8;
  Cache cache;
  cache.heads = heads;
  cache.size = size;
  cache.extent = extent;
  cache.panels = e.div(extent, kPanel);
  auto dynamic = ShapedType::kDynamic;
  cache.keys = memref::ViewOp::create(
      e.b, e.loc,
      MemRefType::get({dynamic, size, kPanel}, type.getElementType()), bytes,
      e.index(0), ValueRange{e.mul(cache.panels, heads)});
  cache.values = memref::ViewOp::create(
      e.b, e.loc, MemRefType::get({dynamic, size}, type.getElementType()),
      bytes, e.mul(extent, heads * size * width),
      ValueRange{e.mul(extent, heads)});
  return cache;
}

void moec::kernels::emitKernel(Emitter &e, lm::AppendOp op, const Slot &slot) {
  Cache cache = viewCache(e, op.getState(), op.getExtent(), op.getCacheType());
  auto [first, last] = e.share(e.dim(op.getK(), 0), slot.number, slot.count);
  e.loop(first, last, 1, [&](Value row) {
    Value position = e.add(op.getPosition(), row);
    e.loop(e.index(0), e.index(cache.heads), 1, [&](Value head) {
      Value start = e.mul(head, cache.size);
      Value panel = e.add(e.mul(head, cache.panels), e.div(position, kPanel));
      Value lane = e.rem(position, e.index(kPanel));
      e.loop(e.index(0), e.index(cache.size), 1, [&](Value d) {
        Value k = e.loadScalar(op.getK(), {row, e.add(start, d)});
        e.storeScalar(k, cache.keys, {panel, d, lane});
      });
      Value at = e.add(e.mul(head, cache.extent), position);
      e.columns(cache.size, [&](Value d, int64_t count) {
        Value v = e.load(op.getV(), {row, e.add(start, d)}, count);
        e.store(v, cache.values, {at, d}, count);
      });
    });
  });
}

namespace {
/// One query row of one head against the cache.
struct QueryRow {
  Emitter &e;
  lm::AttentionOp op;
  const Cache &cache;
  Value row, start, kvHead;
  Value position, firstPosition; // the last and the first that it sees
  bool hasFirst;                 // the first may be other than 0
  Value scores;                  // scratch, f32 [64]
  Value infinity;

  int64_t vectors() const { return kBlock / e.lanes; }
  int64_t outVectors() const { return llvm::divideCeil(cache.size, e.lanes); }
  int64_t outCount(int64_t v) const {
    return std::min(e.lanes, cache.size - v * e.lanes);
  }

  SmallVector<Value> dotKeys(Value block);
  Value masked(Value score, Value block, int64_t v);
  SmallVector<Value> addValues(Value block, ValueRange acc);
  SmallVector<Value> addBlock(Value block, ValueRange state);
  SmallVector<Value> addBlocks(ValueRange state);
};
} // namespace

/// q . K for the 64 positions of a block, K ascending over the head.
SmallVector<Value> QueryRow::dotKeys(Value block) {
  Value panel =
      e.add(e.mul(kvHead, cache.panels), e.mul(block, kBlock / kPanel));
  SmallVector<Value> zero(vectors(), e.splat(0.0));
  int64_t perPanel = kPanel / e.lanes;
  return e.loop(
      e.index(0), e.index(cache.size), 1, zero,
      [&](Value d, ValueRange c) -> SmallVector<Value> {
        Value q = e.broadcast(e.loadScalar(op.getQ(), {row, e.add(start, d)}));
        SmallVector<Value> next;
        for (int64_t v = 0; v < vectors(); ++v) {
          Value k = e.load(cache.keys, {e.add(panel, v / perPanel), d,
                                        e.index(v % perPanel * e.lanes)});
          next.push_back(e.fma(q, k, c[v]));
        }
        return next;
      });
}

/// Scales a vector of scores; positions that the row must not see get -inf.
Value QueryRow::masked(Value score, Value block, int64_t v) {
  Value base = e.add(e.mul(block, kBlock), v * e.lanes);
  Value scaled = e.mulf(score, e.splat(op.getScale().convertToDouble()));
  // Valid lanes: firstPosition - base <= lane <= position - base.
  Value upTo = e.max(e.add(e.sub(position, base), 1), e.index(0));
  Value mask = e.maskOf(upTo);
  if (hasFirst) {
    Value before = e.maskOf(e.max(e.sub(firstPosition, base), e.index(0)));
    Type i1 = e.vectorOf(e.b.getI1Type());
    Value after = arith::XOrIOp::create(e.b, e.loc, before, e.integer(i1, -1));
    mask = arith::AndIOp::create(e.b, e.loc, mask, after);
  }
  return e.select(mask, scaled, infinity);
}

/// acc += p[j] * V[j] over the block's visible positions, ascending.
SmallVector<Value> QueryRow::addValues(Value block, ValueRange acc) {
  Value base = e.mul(block, kBlock);
  Value lower = e.max(base, firstPosition);
  Value upper = e.min(e.add(base, kBlock), e.add(position, 1));
  Value head = e.mul(kvHead, cache.extent);
  return e.loop(lower, upper, 1, acc,
                [&](Value j, ValueRange c) -> SmallVector<Value> {
                  Value p = e.broadcast(e.loadScalar(scores, {e.sub(j, base)}));
                  SmallVector<Value> next;
                  for (int64_t v = 0; v < outVectors(); ++v) {
                    Value value = e.load(cache.values,
                                         {e.add(head, j), e.index(v * e.lanes)},
                                         outCount(v));
                    next.push_back(e.fma(p, value, c[v]));
                  }
                  return next;
                });
}

/// One step of the running softmax. State: maximum, sum, then the output.
SmallVector<Value> QueryRow::addBlock(Value block, ValueRange state) {
  SmallVector<Value> s = dotKeys(block);
  for (auto [v, score] : llvm::enumerate(s))
    score = masked(score, block, v);
  Value most = s[0];
  for (Value score : llvm::drop_begin(s))
    most = e.maxf(most, score);
  Value maximum = e.maxf(state[0], e.reduceMax(most));
  Value rescale = emitExp(e, e.subf(state[0], maximum));
  Value sum = e.splat(0.0);
  Value wide = e.broadcast(maximum);
  for (auto [v, score] : llvm::enumerate(s)) {
    Value p = emitExp(e, e.subf(score, wide));
    e.store(p, scores, {e.index(v * e.lanes)});
    sum = e.addf(sum, p);
  }
  SmallVector<Value> acc;
  for (Value out : state.drop_front(2))
    acc.push_back(e.mulf(out, e.broadcast(rescale)));
  SmallVector<Value> next = {
      maximum, e.addf(e.mulf(state[1], rescale), e.reduceAdd(sum))};
  next.append(addValues(block, acc));
  return next;
}

/// All blocks that the row sees any of, ascending.
SmallVector<Value> QueryRow::addBlocks(ValueRange state) {
  Value lower = e.div(firstPosition, e.index(kBlock));
  Value upper = e.div(e.add(position, kBlock), e.index(kBlock));
  return e.loop(lower, upper, 1, state,
                [&](Value block, ValueRange c) { return addBlock(block, c); });
}

void moec::kernels::emitKernel(Emitter &e, lm::AttentionOp op,
                               const Slot &slot) {
  Cache cache = viewCache(e, op.getState(), op.getExtent(), op.getCacheType());
  Value out = op.getOuts().front();
  int64_t heads = op.getHeads(), perKv = heads / cache.heads;
  Value rows = e.dim(op.getQ(), 0);
  Value scores = e.scratchView(slot.scratch, 0,
                               MemRefType::get({kBlock}, e.b.getF32Type()));
  double minusInf = -std::numeric_limits<double>::infinity();
  // Items are ordered by head, then row, so that a slot keeps to few heads.
  auto [first, last] = e.share(e.mul(rows, heads), slot.number, slot.count);
  e.loop(first, last, 1, [&](Value item) {
    Value head = e.div(item, rows), row = e.rem(item, rows);
    Value position = e.add(op.getPosition(), row);
    int64_t window = op.getWindow();
    Value from = window
                     ? e.max(e.sub(position, e.index(window - 1)), e.index(0))
                     : e.index(0);
    QueryRow query{e,
                   op,
                   cache,
                   row,
                   e.mul(head, cache.size),
                   e.div(head, perKv),
                   position,
                   from,
                   window != 0,
                   scores,
                   e.splat(minusInf)};
    SmallVector<Value> state = {e.f32(minusInf), e.f32(0.0)};
    if (op.getSinks()) // one more logit, with no value
      state = {e.loadScalar(op.getSinks(), {head}), e.f32(1.0)};
    state.append(query.outVectors(), e.splat(0.0));
    if (e.target.blocksFromChunk && !window) {
      // What is in the cache, then the chunk: a block is cut where it starts.
      query.position = e.sub(op.getPosition(), e.index(1));
      state = query.addBlocks(state);
      query.position = position;
      query.firstPosition = op.getPosition();
      query.hasFirst = true;
    }
    state = query.addBlocks(state);
    Value scale = e.broadcast(e.divf(e.f32(1.0), state[1]));
    for (int64_t v = 0; v < query.outVectors(); ++v)
      e.store(e.mulf(state[2 + v], scale), out,
              {row, e.add(query.start, v * e.lanes)}, query.outCount(v));
  });
}
