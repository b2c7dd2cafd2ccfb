//===- AttentionSegment.cpp - Softmax of one segment of positions ---------===//
//
// Part of moe-mlir. Tiles read f32 and bf16 where they lie; a block of f16, or
// of q8_0 that does not lie in fours, is brought into f32 once for all queries
// of a unit, unless they are few. Products are in AttentionTile.cpp, those with
// q8_0 in fours in AttentionQuads.cpp.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "ISA/NarrowBF16.h"
#include "SegmentEmitter.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace moec::kernels;

AttentionShape AttentionShape::of(lm::AttentionOp op) {
  KVCache cache = KVCache::of(op);
  return {op.getQ(),
          op.getPosition(),
          cache,
          int64_t(op.getHeads()) / cache.heads(),
          int64_t(op.getWindow()),
          getElementTypeOrSelf(op.getQ().getType()).isBF16(),
          cache.hasScales() &&
              multipliesQuads(Target::of(op->getParentOfType<ModuleOp>()))};
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

void SegmentEmitter::placeScratch(Value scratch) {
  Type f32 = e.b.getF32Type();
  int64_t at = 0;
  auto place = [&](MemRefType type) {
    Value view = e.scratchView(scratch, at, type);
    at += type.getNumElements() * type.getElementTypeBitWidth() / 8;
    return view;
  };
  scores = place(MemRefType::get({kUnit, kBlock}, f32));
  sums = place(MemRefType::get({kUnit, e.lanes}, f32));
  bf16Weights = place(MemRefType::get({kUnit, kBlock}, e.b.getBF16Type()));
  wideKeys = place(shape.cache.wideKeysType(e));
  wideValues = place(shape.cache.wideValuesType(e));
  if (shape.cache.hasScales()) {
    keyScales = place(MemRefType::get({kBlock}, f32));
    valueScales = place(MemRefType::get({kBlock}, f32));
  }
  if (shape.hasQuads) {
    queryDigits = place(RowDigits::typeOf(e, kUnit, shape.cache.size()));
    weightDigits = place(RowDigits::typeOf(e, 1, kBlock));
  }
}

/// States of nothing: maximum -inf, sum 0, no values.
void SegmentEmitter::clear(Value count) {
  Value minusInf = e.f32(-std::numeric_limits<double>::infinity());
  e.loop(e.index(0), count, 1, [&](Value u) {
    Value row = e.add(firstState, u);
    e.store(e.splat(0.0), sums, {u, e.index(0)});
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

void SegmentEmitter::finish(Value count) {
  e.loop(e.index(0), count, 1, [&](Value u) {
    Value sum = e.reduceAdd(e.load(sums, {u, e.index(0)}));
    e.storeScalar(sum, states,
                  {e.add(firstState, u), e.index(shape.sumColumn())});
  });
}

/// Stores weights of values as products take them: those of q8_0 multiplied by
/// the values' scales, those of bf16 rounded to bf16 for queries that are bf16.
/// Returns the weights, so rounded.
Value SegmentEmitter::storeWeights(Value p, Value score, Value u,
                                   int64_t column) {
  Type bf16 = e.b.getBF16Type();
  Value areShort =
      shape.hasBF16Queries ? shape.cache.valuesAre(e, bf16) : Value();
  if (areShort) {
    Value rounded = takesPairs() ? emitNarrowBF16(e, p) : e.narrow(p, bf16);
    if (takesPairs())
      vector::StoreOp::create(e.b, e.loc, rounded, bf16Weights,
                              ValueRange{u, e.index(column)});
    p = e.select(areShort, e.widen(rounded), p);
  }
  Value at = e.index(column), scaled = p;
  if (valueScales)
    scaled = e.mulf(p, e.load(valueScales, {at}));
  // Of bytes in fours all positions of a block are multiplied. What one that is
  // not seen (maskScores) was or was not stored with may be NaN.
  if (shape.cache.valuesAreQuads(e)) {
    Value minusInf = e.splat(-std::numeric_limits<double>::infinity());
    Value isMasked = arith::CmpFOp::create(
        e.b, e.loc, arith::CmpFPredicate::OEQ, score, minusInf);
    scaled = e.select(isMasked, e.splat(0.0), scaled);
  }
  e.store(scaled, scores, {u, at});
  return p;
}

/// Brings a state to a larger maximum.
void SegmentEmitter::raiseMaximum(Value old, Value maximum, Value u) {
  Value row = e.add(firstState, u);
  Value factor = e.broadcast(emitExpNonPositive(e, e.subf(old, maximum)));
  auto scaled = [&](Value memref, ValueRange at) {
    e.store(e.mulf(e.load(memref, at), factor), memref, at);
  };
  scaled(sums, {u, e.index(0)});
  e.columns(shape.cache.paddedSize(), [&](Value column, int64_t) {
    scaled(states, {row, column});
  });
  e.storeScalar(maximum, states, {row, e.index(shape.maximumColumn())});
}

/// Scores of positions that a query does not see become -inf.
void SegmentEmitter::maskScores(Range range, Value u) {
  Value minusInf = e.splat(-std::numeric_limits<double>::infinity());
  for (int64_t column = 0; column < kBlock; column += e.lanes) {
    Value start = e.add(base, column);
    auto upTo = [&](Value p) {
      return e.maskOf(e.max(e.sub(p, start), e.index(0)));
    };
    Value before = upTo(range.first);
    before = arith::XOrIOp::create(e.b, e.loc, before,
                                   e.integer(before.getType(), -1));
    Value mask = arith::AndIOp::create(e.b, e.loc, upTo(range.end), before);
    Value at[] = {u, e.index(column)};
    e.store(e.select(mask, e.load(scores, at), minusInf), scores, at);
  }
}

/// One step of the running softmax of query n: its scores become
/// exp(score - maximum), and its state is brought to that maximum.
void SegmentEmitter::addSoftmax(Value n, Value u) {
  Range range = visible(n);
  Value seen = e.sub(range.end, range.first);
  e.when(e.less(seen, e.index(kBlock)), [&] { maskScores(range, u); });
  SmallVector<Value> s;
  Value most;
  for (int64_t column = 0; column < kBlock; column += e.lanes) {
    s.push_back(e.load(scores, {u, e.index(column)}));
    most = most ? e.maxf(most, s.back()) : s.back();
  }
  Value old = e.loadScalar(
      states, {e.add(firstState, u), e.index(shape.maximumColumn())});
  Value maximum = e.maxf(old, e.reduceMax(most));
  // Mostly it stays what it was; a factor of 1 would change no bit.
  Value isSame = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ,
                                       old, maximum);
  e.when(
      isSame, [] {}, [&] { raiseMaximum(old, maximum, u); });
  Value wide = e.broadcast(maximum);
  Value sum = e.load(sums, {u, e.index(0)});
  for (auto [v, score] : llvm::enumerate(s))
    sum = e.addf(sum, storeWeights(emitExpNonPositive(e, e.subf(score, wide)),
                                   score, u, v * e.lanes));
  e.store(sum, sums, {u, e.index(0)});
}

/// Runs `body` where tiles make what they need of a half of this element type
/// in registers: of bf16 always, of others where too few queries share a block
/// for bringing it into f32 first.
void SegmentEmitter::whenReadAsBlock(Type element, function_ref<void()> body) {
  if (element.isBF16())
    body();
  else if (!element.isF32())
    e.when(areFew, body);
}

/// Whether that holds for the half of which `is` tells the element type.
Value SegmentEmitter::isReadAsBlock(HalfIs is) {
  Value result = e.integer(e.b.getI1Type(), 0);
  for (Type type : shape.cache.type.getElementTypes()) {
    if (type.isF32())
      continue;
    Value holds = (shape.cache.*is)(e, type);
    if (!type.isBF16())
      holds = arith::AndIOp::create(e.b, e.loc, holds, areFew);
    result = arith::OrIOp::create(e.b, e.loc, result, holds);
  }
  return result;
}

/// Runs `body` where this half, in rows of `columns`, is brought into f32 for
/// tiles.
void SegmentEmitter::whenWidened(const CacheHalf &half, int64_t columns,
                                 function_ref<void()> body) {
  if (half.perStep > 1)
    return;
  if (!half.element.isF32())
    return e.when(
        areFew, [] {}, body);
  if (columns % kMostLanes)
    body();
}

/// What every way through a block begins with: its scales.
void SegmentEmitter::startBlock(Value block) {
  if (!shape.cache.hasScales())
    return;
  shape.cache.withKeys(e, [&](const CacheHalf &half) {
    KeyBlock(e, shape.cache, half, kvHead, block).storeScales(keyScales);
  });
  shape.cache.withValues(e, [&](const CacheHalf &half) {
    ValueBlock(e, shape.cache, half, kvHead, block).storeScales(valueScales);
  });
}

/// What tiles read of a block in f32: the cache, or where widen() puts it.
void SegmentEmitter::placeTiles(Value block) {
  const KVCache &cache = shape.cache;
  Type f32 = e.b.getF32Type();
  tileKeys = wideKeys;
  tileValues = wideValues;
  if (Value areWide = cache.keysAre(e, f32))
    tileKeys = e.select(areWide, cache.wideKeys(e, kvHead, block), wideKeys);
  if (Value areWide = cache.valuesAre(e, f32);
      areWide && cache.size() % kMostLanes == 0)
    tileValues =
        e.select(areWide, cache.wideValues(e, kvHead, block), wideValues);
}

void SegmentEmitter::widen(Value block) {
  const KVCache &cache = shape.cache;
  cache.withKeys(e, [&](const CacheHalf &half) {
    whenWidened(half, kBlock, [&] {
      KeyBlock(e, cache, half, kvHead, block).widen(wideKeys);
    });
  });
  cache.withValues(e, [&](const CacheHalf &half) {
    whenWidened(half, cache.size(), [&] {
      ValueBlock(e, cache, half, kvHead, block).widen(wideValues);
    });
  });
}

/// Runs `body` on a half of the cache as tiles read it: on the block, or on
/// null for one that lies in f32.
template <typename Block>
void SegmentEmitter::withTile(Value block, WithHalf with, HalfIs is,
                              function_ref<void(const Block *)> body) {
  (shape.cache.*with)(e, [&](const CacheHalf &half) {
    if (half.isQuads())
      return;
    whenReadAsBlock(half.element, [&] {
      Block cells(e, shape.cache, half, kvHead, block);
      body(&cells);
    });
  });
  auto isBF16 = [](Type type) { return type.isBF16(); };
  if (llvm::all_of(shape.cache.type.getElementTypes(), isBF16))
    return;
  e.when(
      isReadAsBlock(is), [] {}, [&] { body(nullptr); });
}

/// Runs `body(n + u, u, positions)` on those queries u of a tile that see any
/// of the block.
void SegmentEmitter::eachVisible(Value n, Value first, Value size,
                                 function_ref<void(Value, Value, Range)> body) {
  e.loop(first, e.add(first, size), 1, [&](Value u) {
    Value m = e.add(n, u);
    Range range = visible(m);
    e.when(e.less(range.first, range.end), [&] { body(m, u, range); });
  });
}

/// Scores of a tile's queries in f32; those of a whole tile share the loads of
/// K.
void SegmentEmitter::dotTile(Value block, Value n, Value first, Value size) {
  e.when(
      e.equal(size, e.index(kTile)),
      [&] {
        withTile<KeyBlock>(block, &KVCache::withKeys, &KVCache::keysAre,
                           [&](const KeyBlock *keys) {
                             dotKeys(kTile, e.add(n, first), first, keys);
                           });
      },
      [&] {
        eachVisible(n, first, size, [&](Value m, Value u, Range) {
          shape.cache.withKeys(e, [&](const CacheHalf &half) {
            if (half.isQuads())
              return;
            KeyBlock keys(e, shape.cache, half, kvHead, block);
            dotKeys(1, m, u, &keys);
          });
        });
      });
}

/// Runs `inQuads` where `areQuads`, which may be null.
static void whenQuads(Emitter &e, Value areQuads, function_ref<void()> inQuads,
                      function_ref<void()> otherwise) {
  areQuads ? e.when(areQuads, inQuads, otherwise) : otherwise();
}

/// Scores and softmax of a tile's queries.
void SegmentEmitter::scoreTile(Value block, Value n, Value first, Value size) {
  whenQuads(
      e, shape.cache.keysAreQuads(e),
      [&] {
        shape.cache.withKeys(e, [&](const CacheHalf &half) {
          if (!half.isQuads())
            return;
          KeyBlock keys(e, shape.cache, half, kvHead, block);
          eachVisible(n, first, size, [&](Value, Value u, Range) {
            fetchPart(values, u, first, size);
            dotQuads(u, keys);
          });
        });
      },
      [&] { dotTile(block, n, first, size); });
  eachVisible(n, first, size,
              [&](Value m, Value u, Range) { addSoftmax(m, u); });
}

/// The positions that all queries of a tile see, in whole pairs; of one that is
/// not whole, none. Later queries see from later on, and farther.
SegmentEmitter::Range SegmentEmitter::common(Value n, Value first, Value size) {
  Value m = e.add(n, first);
  Range range{visible(e.add(m, kTile - 1)).first, visible(m).end};
  range.first = e.mul(e.ceilDiv(range.first, e.index(2)), 2);
  range.end = e.max(range.first, e.mul(e.div(range.end, 2), 2));
  Value isWhole = e.equal(size, e.index(kTile));
  return {e.select(isWhole, range.first, base),
          e.select(isWhole, range.end, base)};
}

/// Adds the values of a tile's queries in f32; they share the loads of V at the
/// positions that all of them see; before and after those each query reads its
/// own.
void SegmentEmitter::addSharedValues(Value block, Value n, Value first,
                                     Value size) {
  Range shared = common(n, first, size);
  auto addOwn = [&](function_ref<Range(Range)> cut) {
    eachVisible(n, first, size, [&](Value, Value u, Range range) {
      shape.cache.withValues(e, [&](const CacheHalf &half) {
        if (half.isQuads())
          return;
        ValueBlock values(e, shape.cache, half, kvHead, block);
        addValues(1, u, cut(range), &values);
      });
    });
  };
  // A chunk may start amid a pair.
  if (shape.window || e.target.blocksFromChunk)
    addOwn([&](Range own) -> Range {
      return {own.first, e.min(own.end, shared.first)};
    });
  withTile<ValueBlock>(block, &KVCache::withValues, &KVCache::valuesAre,
                       [&](const ValueBlock *values) {
                         addValues(kTile, first, shared, values);
                       });
  addOwn([&](Range own) -> Range {
    return {e.max(own.first, shared.end), own.end};
  });
}

void SegmentEmitter::addTile(Value block, Value n, Value first, Value size) {
  whenQuads(
      e, shape.cache.valuesAreQuads(e),
      [&] {
        shape.cache.withValues(e, [&](const CacheHalf &half) {
          if (!half.isQuads())
            return;
          ValueBlock values(e, shape.cache, half, kvHead, block);
          eachVisible(n, first, size, [&](Value, Value u, Range) {
            fetchPart(nextKeys, u, first, size);
            addQuads(u, values);
          });
        });
      },
      [&] { addSharedValues(block, n, first, size); });
}

/// Queries of no whole tile wait for memory, which changes from keys to values
/// and back.
void SegmentEmitter::prefetch(Value block) {
  shape.cache.withValues(e, [&](const CacheHalf &half) {
    ValueBlock(e, shape.cache, half, kvHead, block).prefetch();
  });
  shape.cache.withKeys(e, [&](const CacheHalf &half) {
    KeyBlock(e, shape.cache, half, kvHead, e.add(block, 1)).prefetch();
  });
}

/// First all scores, then all values: a block's keys, or values, leave room for
/// little else in the first-level cache.
void SegmentEmitter::addBlock(Value block, Value n, Value count) {
  auto eachTile = [&](function_ref<void(Value, Value)> body) {
    e.loop(e.index(0), count, kTile, [&](Value first) {
      body(first, e.min(e.sub(count, first), e.index(kTile)));
    });
  };
  values = shape.cache.valuePlace(e, kvHead, block);
  nextKeys = shape.cache.keyPlace(e, kvHead, e.add(block, 1));
  areFew = e.lessEqual(count, e.index(2 * kTile));
  startBlock(block);
  placeTiles(block);
  e.when(
      e.less(count, e.index(kTile)), [&] { prefetch(block); },
      [&] { widen(block); });
  eachTile([&](Value first, Value size) { scoreTile(block, n, first, size); });
  eachTile([&](Value first, Value size) { addTile(block, n, first, size); });
}

void SegmentEmitter::addBlocks(Value n, Value count, Value low, Value high) {
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
           addBlock(block, n, count);
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
                    outer.group, getElementTypeOrSelf(outer.q.getType()),
                    outer.window, llvm::bit_cast<uint64_t>(scale));
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
  Value n = args[5], count = args[6];
  AttentionShape shape = outer;
  shape.q = args[0];
  shape.position = args[3];
  shape.cache.bytes = args[1];
  shape.cache.extent = args[2];
  if (type.isChosen()) {
    shape.cache.keyType = args[11];
    shape.cache.valueType = args[12];
  }
  SegmentEmitter segment(inner, shape, scale, args[4], args[8], args[9]);
  segment.placeScratch(args[10]);
  segment.clear(count);
  segment.storeQueryDigits(n, count);
  Value from = inner.mul(args[7], kSegment);
  Value to = inner.add(from, kSegment);
  if (e.target.blocksFromChunk) {
    // What is in the cache, then the chunk: a block is cut where it starts.
    Value cut = inner.min(inner.max(shape.position, from), to);
    segment.addBlocks(n, count, from, cut);
    segment.addBlocks(n, count, cut, to);
  } else {
    segment.addBlocks(n, count, from, to);
  }
  segment.finish(count);
  func::ReturnOp::create(b, op.getLoc());
  return function;
}
