//===- AttentionSegment.cpp - Softmax of one segment of positions ---------===//
//
// Part of moe-mlir. A block is widened once for all queries of a unit; a tile
// of queries then shares every vector of keys and values that is loaded. A unit
// of fewer queries than a tile reads them where they lie.
//
//===----------------------------------------------------------------------===//

#include "AttentionSegment.h"
#include "Elementwise.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace moec::kernels;

AttentionShape AttentionShape::of(lm::AttentionOp op) {
  KVCache cache = KVCache::of(op);
  return {op.getQ(), op.getPosition(), cache,
          int64_t(op.getHeads()) / cache.heads(), int64_t(op.getWindow())};
}

MemRefType AttentionShape::stateType(Emitter &e) const {
  return MemRefType::get({ShapedType::kDynamic, stateColumns()},
                         e.b.getF32Type());
}

Value AttentionShape::head(Emitter &e, Value kvHead, Value n) const {
  return e.add(e.mul(kvHead, group), e.rem(n, e.index(group)));
}

std::pair<Value, Value> AttentionShape::seen(Emitter &e, Value row) const {
  Value end = e.add(e.add(position, row), 1);
  Value first =
      window ? e.max(e.sub(end, e.index(window)), e.index(0)) : e.index(0);
  return {first, end};
}

std::pair<Value, Value> AttentionShape::segments(Emitter &e, Value first,
                                                 Value last) const {
  return {e.div(seen(e, first).first, kSegment),
          e.ceilDiv(seen(e, last).second, e.index(kSegment))};
}

namespace {
/// Emits the body of a segment function.
class SegmentEmitter {
public:
  SegmentEmitter(Emitter &e, const AttentionShape &shape, double scale,
                 Value kvHead, Value states)
      : e(e), shape(shape), scale(scale), kvHead(kvHead), states(states) {}

  void placeScratch(Value scratch);
  void clear(Value at, Value count);
  /// All blocks of the segment, positions [from, to) of them.
  void addBlocks(Value n, Value count, Value at, Value from, Value to);

private:
  /// Positions [first, end).
  struct Range {
    Value first, end;
  };

  Range visible(Value n);
  void addTile(Value n, Value size, Value at);
  void addSingly(Value block, Value n, Value count, Value at);
  void widen(Value block);
  Value loadKeys(const KeyBlock *block, Value panel, Value d, int64_t lane,
                 Value scales);
  void dotKeys(int64_t queries, Value n, Value q,
               const KeyBlock *block = nullptr);
  void addSoftmax(Value n, Value q, Value row);
  void addValues(int64_t queries, Value q, Value row, Range range,
                 const ValueBlock *block = nullptr);

  Emitter &e;
  const AttentionShape &shape;
  double scale;
  Value kvHead, states;
  Value scores, wideKeys, wideValues;
  Value base, from, to; // of the block
};
} // namespace

void SegmentEmitter::placeScratch(Value scratch) {
  Type f32 = e.b.getF32Type();
  int64_t at = 0;
  auto place = [&](MemRefType type) {
    Value view = e.scratchView(scratch, at, type);
    at += type.getNumElements() * 4;
    return view;
  };
  scores = place(MemRefType::get({kTile, kBlock}, f32));
  wideKeys = place(shape.cache.wideKeysType(e));
  wideValues = place(shape.cache.wideValuesType(e));
}

/// States of nothing: maximum -inf, sum 0, no values.
void SegmentEmitter::clear(Value at, Value count) {
  Value minusInf = e.f32(-std::numeric_limits<double>::infinity());
  e.loop(e.index(0), count, 1, [&](Value q) {
    Value row = e.add(at, q);
    e.columns(shape.stateColumns(), [&](Value column, int64_t) {
      e.store(e.splat(0.0), states, {row, column});
    });
    e.storeScalar(minusInf, states, {row, e.index(shape.maximumColumn())});
  });
}

/// The positions of the block that query n sees.
SegmentEmitter::Range SegmentEmitter::visible(Value n) {
  auto [first, end] = shape.seen(e, shape.row(e, n));
  return {e.max(e.max(first, base), from),
          e.min(e.min(end, e.add(base, kBlock)), to)};
}

/// From the cache's block, or from its widened copy.
Value SegmentEmitter::loadKeys(const KeyBlock *block, Value panel, Value d,
                               int64_t lane, Value scales) {
  return block ? block->load(panel, d, lane, scales)
               : e.load(wideKeys, {panel, d, e.index(lane)});
}

/// scores[q + i][j] = q_i . K[j] for queries n, n + 1, ..., added in ascending
/// order over the head.
void SegmentEmitter::dotKeys(int64_t queries, Value n, Value q,
                             const KeyBlock *block) {
  int64_t size = shape.cache.size();
  SmallVector<std::pair<Value, Value>> places; // row and first column of each
  for (int64_t i = 0; i < queries; ++i) {
    Value number = e.add(n, i);
    places.push_back(
        {shape.row(e, number), e.mul(shape.head(e, kvHead, number), size)});
  }
  // As many positions at once as registers hold accumulators for.
  int64_t perPanel = kPanel / e.lanes;
  int64_t panels = e.lanes == 16 || queries == 1 ? kBlock / kPanel : 1;
  int64_t vectors = panels * perPanel;
  e.loop(e.index(0), e.index(kBlock / kPanel), panels, [&](Value panel) {
    SmallVector<Value> zero(queries * vectors, e.splat(0.0)), scales;
    for (int64_t v = 0; v < vectors; ++v)
      scales.push_back(block ? block->scales(e.add(panel, v / perPanel),
                                             v % perPanel * e.lanes)
                             : Value());
    auto sums = e.loop(
        e.index(0), e.index(size), 1, zero,
        [&](Value d, ValueRange c) -> SmallVector<Value> {
          SmallVector<Value> k, next;
          for (int64_t v = 0; v < vectors; ++v)
            k.push_back(loadKeys(block, e.add(panel, v / perPanel), d,
                                 v % perPanel * e.lanes, scales[v]));
          for (auto [i, place] : llvm::enumerate(places)) {
            Value x = e.broadcast(
                e.loadScalar(shape.q, {place.first, e.add(place.second, d)}));
            for (int64_t v = 0; v < vectors; ++v)
              next.push_back(e.fma(x, k[v], c[i * vectors + v]));
          }
          return next;
        });
    for (auto [i, sum] : llvm::enumerate(sums))
      e.store(sum, scores,
              {e.add(q, i / vectors),
               e.add(e.mul(panel, kPanel), i % vectors * e.lanes)});
  });
}

/// One step of the running softmax of query n, whose scores are those of q:
/// they become exp(score - maximum), and the state is brought to that maximum.
void SegmentEmitter::addSoftmax(Value n, Value q, Value row) {
  Range range = visible(n);
  Value minusInf = e.splat(-std::numeric_limits<double>::infinity());
  SmallVector<Value> s;
  Value most;
  for (int64_t column = 0; column < kBlock; column += e.lanes) {
    Value start = e.add(base, column);
    auto upTo = [&](Value p) {
      return e.maskOf(e.max(e.sub(p, start), e.index(0)));
    };
    Value before = upTo(range.first);
    before = arith::XOrIOp::create(e.b, e.loc, before,
                                   e.integer(before.getType(), -1));
    Value mask = arith::AndIOp::create(e.b, e.loc, upTo(range.end), before);
    Value score = e.load(scores, {q, e.index(column)});
    s.push_back(e.select(mask, e.mulf(score, e.splat(scale)), minusInf));
    most = most ? e.maxf(most, s.back()) : s.back();
  }
  Value maximumColumn = e.index(shape.maximumColumn());
  Value sumColumn = e.index(shape.sumColumn());
  Value old = e.loadScalar(states, {row, maximumColumn});
  Value maximum = e.maxf(old, e.reduceMax(most));
  Value rescale = emitExp(e, e.subf(old, maximum));
  Value wide = e.broadcast(maximum), sum = e.splat(0.0);
  for (auto [v, score] : llvm::enumerate(s)) {
    Value p = emitExp(e, e.subf(score, wide));
    e.store(p, scores, {q, e.index(v * e.lanes)});
    sum = e.addf(sum, p);
  }
  Value scaled = e.mulf(e.loadScalar(states, {row, sumColumn}), rescale);
  e.storeScalar(maximum, states, {row, maximumColumn});
  e.storeScalar(e.addf(scaled, e.reduceAdd(sum)), states, {row, sumColumn});
  rescale = e.broadcast(rescale);
  e.columns(shape.cache.paddedSize(), [&](Value column, int64_t) {
    Value acc = e.load(states, {row, column});
    e.store(e.mulf(acc, rescale), states, {row, column});
  });
}

/// Adds p[j] * V[j] over a range of positions, ascending, to the states of
/// queries that all see it; they share the loads of V.
void SegmentEmitter::addValues(int64_t queries, Value q, Value row,
                               Range range, const ValueBlock *block) {
  // `count` columns from `column` on.
  auto addColumns = [&](Value column, int64_t count) {
    int64_t vectors = llvm::divideCeil(count, e.lanes);
    auto at = [&](int64_t v) { return e.add(column, v * e.lanes); };
    SmallVector<Value> acc;
    for (int64_t i = 0; i < queries * vectors; ++i)
      acc.push_back(e.load(states, {e.add(row, i / vectors), at(i % vectors)}));
    acc = e.loop(
        range.first, range.end, 1, acc,
        [&](Value j, ValueRange c) -> SmallVector<Value> {
          Value inBlock = e.sub(j, base);
          Value scale = block ? block->scale(inBlock) : Value();
          SmallVector<Value> values, next;
          for (int64_t v = 0; v < vectors; ++v)
            values.push_back(
                block ? block->load(inBlock, at(v),
                                    std::min(e.lanes, count - v * e.lanes),
                                    scale)
                      : e.load(wideValues, {inBlock, at(v)}));
          for (int64_t i = 0; i < queries; ++i) {
            Value p = e.broadcast(e.loadScalar(scores, {e.add(q, i), inBlock}));
            for (int64_t v = 0; v < vectors; ++v)
              next.push_back(e.fma(p, values[v], c[i * vectors + v]));
          }
          return next;
        });
    for (auto [i, sum] : llvm::enumerate(acc))
      e.store(sum, states, {e.add(row, i / vectors), at(i % vectors)});
  };
  int64_t columns = shape.cache.size();
  int64_t width = (queries == 1 ? 8 : e.lanes == 16 ? 4 : 2) * e.lanes;
  int64_t whole = columns / width * width;
  e.when(e.less(range.first, range.end), [&] {
    if (whole)
      e.loop(e.index(0), e.index(whole), width,
             [&](Value column) { addColumns(column, width); });
    if (whole < columns)
      addColumns(e.index(whole), columns - whole);
  });
}

/// A whole tile shares the loads of K, and those of V at the positions that
/// all its queries see; before and after those each query goes over its own.
/// The queries of a smaller one are taken singly.
void SegmentEmitter::addTile(Value n, Value size, Value at) {
  Value zero = e.index(0), isWhole = e.equal(size, e.index(kTile));
  auto each = [&](function_ref<void(Value, Value, Range)> body) {
    e.loop(zero, size, 1, [&](Value q) {
      Value number = e.add(n, q);
      Range range = visible(number);
      e.when(e.less(range.first, range.end), [&] { body(number, q, range); });
    });
  };
  e.when(
      isWhole, [&] { dotKeys(kTile, n, zero); },
      [&] { each([&](Value m, Value q, Range) { dotKeys(1, m, q); }); });
  each([&](Value m, Value q, Range) { addSoftmax(m, q, e.add(at, q)); });
  Range common = visible(n);
  for (int64_t q = 1; q < kTile; ++q) {
    Range range = visible(e.add(n, q));
    common.first = e.max(common.first, range.first);
    common.end = e.min(common.end, range.end);
  }
  common.first = e.select(isWhole, common.first, base);
  common.end = e.select(isWhole, e.max(common.first, common.end), common.first);
  if (shape.window)
    each([&](Value, Value q, Range range) {
      range.end = e.min(range.end, common.first);
      addValues(1, q, e.add(at, q), range);
    });
  addValues(kTile, zero, at, common);
  each([&](Value, Value q, Range range) {
    range.first = e.max(range.first, common.end);
    addValues(1, q, e.add(at, q), range);
  });
}

/// Few queries read less than widening the block would write.
void SegmentEmitter::addSingly(Value block, Value n, Value count, Value at) {
  Value zero = e.index(0);
  e.loop(zero, count, 1, [&](Value i) {
    Value m = e.add(n, i), row = e.add(at, i);
    Range range = visible(m);
    e.when(e.less(range.first, range.end), [&] {
      shape.cache.withKeys(e, [&](const CacheHalf &half) {
        KeyBlock keys(e, shape.cache, half, kvHead, block);
        dotKeys(1, m, zero, &keys);
      });
      addSoftmax(m, zero, row);
      shape.cache.withValues(e, [&](const CacheHalf &half) {
        ValueBlock values(e, shape.cache, half, kvHead, block);
        addValues(1, zero, row, range, &values);
      });
    });
  });
}

void SegmentEmitter::widen(Value block) {
  shape.cache.withKeys(e, [&](const CacheHalf &half) {
    KeyBlock(e, shape.cache, half, kvHead, block).widen(wideKeys);
  });
  shape.cache.withValues(e, [&](const CacheHalf &half) {
    ValueBlock(e, shape.cache, half, kvHead, block).widen(wideValues);
  });
}

void SegmentEmitter::addBlocks(Value n, Value count, Value at, Value low,
                               Value high) {
  from = low;
  to = high;
  Value last = e.sub(e.add(n, count), e.index(1));
  Value lower = e.max(shape.seen(e, shape.row(e, n)).first, from);
  lower = e.min(lower, to);
  Value upper = e.min(shape.seen(e, shape.row(e, last)).second, to);
  upper = e.max(upper, lower);
  e.loop(e.div(lower, kBlock), e.ceilDiv(upper, e.index(kBlock)), 1,
         [&](Value block) {
           base = e.mul(block, kBlock);
           e.when(
               e.less(count, e.index(kTile)),
               [&] { addSingly(block, n, count, at); },
               [&] {
                 widen(block);
                 e.loop(e.index(0), count, kTile, [&](Value i) {
                   Value size = e.min(e.sub(count, i), e.index(kTile));
                   addTile(e.add(n, i), size, e.add(at, i));
                 });
               });
         });
}

func::FuncOp moec::kernels::getSegmentFunction(Emitter &e, lm::AttentionOp op) {
  auto module = op->getParentOfType<ModuleOp>();
  AttentionShape outer = AttentionShape::of(op);
  lm::StateType type = outer.cache.type;
  double scale = op.getScale().convertToDouble();
  std::string name =
      llvm::formatv("attention_{0}x{1}x{2:$[-]}_{3}_{4}_{5}_{6:x}",
                    type.getHeads(), type.getHeadDim(),
                    llvm::make_range(type.getElementTypes().begin(),
                                     type.getElementTypes().end()),
                    outer.group,
                    getElementTypeOrSelf(outer.q.getType()), outer.window,
                    llvm::bit_cast<uint64_t>(scale));
  if (auto known = module.lookupSymbol<func::FuncOp>(name))
    return known;
  OpBuilder b(module.getContext());
  b.setInsertionPointToEnd(module.getBody());
  Type index = b.getIndexType();
  auto bytes = MemRefType::get({ShapedType::kDynamic}, b.getI8Type());
  SmallVector<Type> types = {
      outer.q.getType(),  bytes, index, index, index, index, index, index,
      outer.stateType(e), index, bytes};
  if (type.isChosen())
    types.append({index, index});
  auto function = func::FuncOp::create(
      b, op.getLoc(), name, FunctionType::get(b.getContext(), types, {}));
  function.setPrivate();
  b.setInsertionPointToStart(function.addEntryBlock());
  Emitter inner(b, op.getLoc(), e.target);
  auto args = function.getArguments();
  Value n = args[5], count = args[6], at = args[9];
  AttentionShape shape = outer;
  shape.q = args[0];
  shape.position = args[3];
  shape.cache.bytes = args[1];
  shape.cache.extent = args[2];
  if (type.isChosen()) {
    shape.cache.keyType = args[11];
    shape.cache.valueType = args[12];
  }
  SegmentEmitter segment(inner, shape, scale, args[4], args[8]);
  segment.placeScratch(args[10]);
  segment.clear(at, count);
  Value from = inner.mul(args[7], kSegment);
  Value to = inner.add(from, kSegment);
  if (e.target.blocksFromChunk) {
    // What is in the cache, then the chunk: a block is cut where it starts.
    Value cut = inner.min(inner.max(shape.position, from), to);
    segment.addBlocks(n, count, at, from, cut);
    segment.addBlocks(n, count, at, cut, to);
  } else {
    segment.addBlocks(n, count, at, from, to);
  }
  func::ReturnOp::create(b, op.getLoc());
  return function;
}
