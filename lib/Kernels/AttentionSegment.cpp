//===- AttentionSegment.cpp - Softmax of one segment of positions ---------===//
//
// Part of moe-mlir. A block is widened once for all queries of a unit; a tile
// of queries then shares every vector of keys and values that is loaded.
//
//===----------------------------------------------------------------------===//

#include "AttentionSegment.h"
#include "Elementwise.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace moec::kernels;

AttentionShape AttentionShape::of(lm::AttentionOp op) {
  KVCache cache{op.getState(), op.getExtent(), op.getCacheType()};
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
  /// One tile: how many queries, the first one and its state.
  struct Tile {
    int64_t queries;
    Value n, at;
    SmallVector<Value> first, end; // positions that each sees of the block
  };

  std::pair<Value, Value> visible(Value n);
  void addTile(int64_t queries, Value n, Value at);
  void dotKeys(const Tile &tile);
  void addSoftmax(Value q, const Tile &tile);
  void addValues(const Tile &tile);
  void addColumns(const Tile &tile, Value column, int64_t vectors,
                  Value commonFirst, Value commonEnd);

  Emitter &e;
  const AttentionShape &shape;
  double scale;
  Value kvHead, states;
  Value scores, rescales, wideKeys, wideValues;
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
  rescales = place(MemRefType::get({kTile, kPanel}, f32));
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

/// Positions [first, second) of the block that query n sees.
std::pair<Value, Value> SegmentEmitter::visible(Value n) {
  auto [first, end] = shape.seen(e, shape.row(e, n));
  return {e.max(e.max(first, base), from),
          e.min(e.min(end, e.add(base, kBlock)), to)};
}

/// scores[q][j] = q . K[j], added in ascending order over the head.
void SegmentEmitter::dotKeys(const Tile &tile) {
  int64_t size = shape.cache.size();
  SmallVector<std::pair<Value, Value>> at; // row and first column of each
  for (int64_t q = 0; q < tile.queries; ++q) {
    Value n = e.add(tile.n, q);
    at.push_back({shape.row(e, n), e.mul(shape.head(e, kvHead, n), size)});
  }
  // As many positions at once as registers hold accumulators for.
  int64_t perPanel = kPanel / e.lanes;
  int64_t panels = e.lanes == 16 || tile.queries == 1 ? kBlock / kPanel : 1;
  int64_t vectors = panels * perPanel;
  e.loop(e.index(0), e.index(kBlock / kPanel), panels, [&](Value panel) {
    SmallVector<Value> zero(tile.queries * vectors, e.splat(0.0));
    auto sums = e.loop(
        e.index(0), e.index(size), 1, zero,
        [&](Value d, ValueRange c) -> SmallVector<Value> {
          SmallVector<Value> k, next;
          for (int64_t v = 0; v < vectors; ++v)
            k.push_back(e.load(wideKeys, {e.add(panel, v / perPanel), d,
                                          e.index(v % perPanel * e.lanes)}));
          for (auto [q, place] : llvm::enumerate(at)) {
            Value x = e.broadcast(
                e.loadScalar(shape.q, {place.first, e.add(place.second, d)}));
            for (int64_t v = 0; v < vectors; ++v)
              next.push_back(e.fma(x, k[v], c[q * vectors + v]));
          }
          return next;
        });
    for (auto [i, sum] : llvm::enumerate(sums))
      e.store(sum, scores,
              {e.index(i / vectors),
               e.add(e.mul(panel, kPanel), i % vectors * e.lanes)});
  });
}

/// One step of a query's running softmax: scores become exp(score - maximum),
/// and the state's maximum and sum move on. A query that sees nothing of the
/// block keeps its state.
void SegmentEmitter::addSoftmax(Value q, const Tile &tile) {
  auto [first, end] = visible(e.add(tile.n, q));
  Value row = e.add(tile.at, q);
  Value minusInf = e.splat(-std::numeric_limits<double>::infinity());
  SmallVector<Value> s;
  Value most;
  for (int64_t column = 0; column < kBlock; column += e.lanes) {
    Value start = e.add(base, column);
    auto upTo = [&](Value p) {
      return e.maskOf(e.max(e.sub(p, start), e.index(0)));
    };
    Value before = upTo(first);
    before = arith::XOrIOp::create(e.b, e.loc, before,
                                   e.integer(before.getType(), -1));
    Value mask = arith::AndIOp::create(e.b, e.loc, upTo(end), before);
    Value score = e.load(scores, {q, e.index(column)});
    s.push_back(e.select(mask, e.mulf(score, e.splat(scale)), minusInf));
    most = most ? e.maxf(most, s.back()) : s.back();
  }
  Value sees = e.less(first, end);
  Value old = e.loadScalar(states, {row, e.index(shape.maximumColumn())});
  Value oldSum = e.loadScalar(states, {row, e.index(shape.sumColumn())});
  Value maximum = e.maxf(old, e.reduceMax(most));
  Value rescale = emitExp(e, e.subf(old, maximum));
  Value wide = e.broadcast(maximum), sum = e.splat(0.0);
  for (auto [v, score] : llvm::enumerate(s)) {
    Value p = emitExp(e, e.subf(score, wide));
    e.store(p, scores, {q, e.index(v * e.lanes)});
    sum = e.addf(sum, p);
  }
  Value newSum = e.addf(e.mulf(oldSum, rescale), e.reduceAdd(sum));
  e.storeScalar(e.select(sees, maximum, old), states,
                {row, e.index(shape.maximumColumn())});
  e.storeScalar(e.select(sees, newSum, oldSum), states,
                {row, e.index(shape.sumColumn())});
  e.storeScalar(e.select(sees, rescale, e.f32(1.0)), rescales, {q, e.index(0)});
}

/// acc = acc * rescale + sum of p[j] * V[j], ascending, for some columns. The
/// positions that all queries of the tile see share the loads of V; before and
/// after them each query goes over its own.
void SegmentEmitter::addColumns(const Tile &tile, Value column, int64_t vectors,
                                Value commonFirst, Value commonEnd) {
  auto at = [&](int64_t v) { return e.add(column, v * e.lanes); };
  SmallVector<Value> acc;
  for (int64_t q = 0; q < tile.queries; ++q) {
    Value rescale =
        e.broadcast(e.loadScalar(rescales, {e.index(q), e.index(0)}));
    for (int64_t v = 0; v < vectors; ++v)
      acc.push_back(
          e.mulf(e.load(states, {e.add(tile.at, q), at(v)}), rescale));
  }
  auto add = [&](int64_t first, int64_t count, Value lower, Value upper) {
    SmallVector<Value> init(
        ArrayRef(acc).slice(first * vectors, count * vectors));
    auto sums =
        e.loop(lower, upper, 1, init,
               [&](Value j, ValueRange c) -> SmallVector<Value> {
                 Value inBlock = e.sub(j, base);
                 SmallVector<Value> values, next;
                 for (int64_t v = 0; v < vectors; ++v)
                   values.push_back(e.load(wideValues, {inBlock, at(v)}));
                 for (int64_t q = 0; q < count; ++q) {
                   Value p = e.broadcast(
                       e.loadScalar(scores, {e.index(first + q), inBlock}));
                   for (int64_t v = 0; v < vectors; ++v)
                     next.push_back(e.fma(p, values[v], c[q * vectors + v]));
                 }
                 return next;
               });
    llvm::copy(sums, acc.begin() + first * vectors);
  };
  if (tile.queries > 1)
    for (int64_t q = 0; q < tile.queries; ++q)
      add(q, 1, tile.first[q], e.min(tile.end[q], commonFirst));
  add(0, tile.queries, commonFirst, commonEnd);
  if (tile.queries > 1)
    for (int64_t q = 0; q < tile.queries; ++q)
      add(q, 1, e.max(tile.first[q], commonEnd), tile.end[q]);
  for (auto [i, sum] : llvm::enumerate(acc))
    e.store(sum, states, {e.add(tile.at, i / vectors), at(i % vectors)});
}

void SegmentEmitter::addValues(const Tile &tile) {
  Value first = tile.first[0], end = tile.end[0];
  for (int64_t q = 1; q < tile.queries; ++q) {
    first = e.max(first, tile.first[q]);
    end = e.min(end, tile.end[q]);
  }
  end = e.max(end, first);
  int64_t columns = shape.cache.paddedSize();
  int64_t vectors = e.lanes == 16 || tile.queries == 1 ? 4 : 2;
  int64_t width = vectors * e.lanes, whole = columns / width * width;
  if (whole)
    e.loop(e.index(0), e.index(whole), width, [&](Value column) {
      addColumns(tile, column, vectors, first, end);
    });
  if (whole < columns)
    addColumns(tile, e.index(whole), (columns - whole) / e.lanes, first, end);
}

void SegmentEmitter::addTile(int64_t queries, Value n, Value at) {
  Tile tile{queries, n, at, {}, {}};
  Value seesAny;
  for (int64_t q = 0; q < queries; ++q) {
    auto [first, end] = visible(e.add(n, q));
    tile.first.push_back(first);
    tile.end.push_back(end);
    Value sees = e.less(first, end);
    seesAny = seesAny ? arith::OrIOp::create(e.b, e.loc, seesAny, sees) : sees;
  }
  e.when(seesAny, [&] {
    dotKeys(tile);
    e.loop(e.index(0), e.index(queries), 1,
           [&](Value q) { addSoftmax(q, tile); });
    addValues(tile);
  });
}

void SegmentEmitter::addBlocks(Value n, Value count, Value at, Value low,
                               Value high) {
  from = low;
  to = high;
  Value last = e.sub(e.add(n, count), e.index(1));
  Value lower = e.max(shape.seen(e, shape.row(e, n)).first, from);
  Value upper = e.min(shape.seen(e, shape.row(e, last)).second, to);
  upper = e.max(upper, lower);
  e.loop(e.div(lower, kBlock), e.ceilDiv(upper, e.index(kBlock)), 1,
         [&](Value block) {
           base = e.mul(block, kBlock);
           shape.cache.widenKeys(e, kvHead, block, wideKeys);
           shape.cache.widenValues(e, kvHead, block, wideValues);
           Value whole = e.mul(e.div(count, kTile), kTile);
           e.loop(e.index(0), whole, kTile,
                  [&](Value i) { addTile(kTile, e.add(n, i), e.add(at, i)); });
           e.loop(whole, count, 1,
                  [&](Value i) { addTile(1, e.add(n, i), e.add(at, i)); });
         });
}

func::FuncOp moec::kernels::getSegmentFunction(Emitter &e, lm::AttentionOp op) {
  auto module = op->getParentOfType<ModuleOp>();
  AttentionShape outer = AttentionShape::of(op);
  lm::StateType type = outer.cache.type;
  double scale = op.getScale().convertToDouble();
  std::string name =
      llvm::formatv("attention_{0}x{1}x{2}_{3}_{4}_{5}_{6:x}", type.getHeads(),
                    type.getHeadDim(), type.getElementType(), outer.group,
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
