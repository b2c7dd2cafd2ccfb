//===- Matmul.cpp - Rows times a panel-packed weight ----------------------===//
//
// Part of moe-mlir. See Matmul.h for the loop structure.
//
//===----------------------------------------------------------------------===//

#include "Matmul.h"
#include "MatrixTile.h"
#include "QuantisedRows.h"
#include "RowPacker.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace moec::kernels;

PackedWeight PackedWeight::of(Value buffer, std::optional<lm::Format> format) {
  auto type = cast<MemRefType>(buffer.getType());
  if (!format)
    format = lm::getFloatFormat(type.getElementType());
  return {buffer, type.getDimSize(0), type.getDimSize(1), type.getDimSize(2),
          *format};
}

int64_t PackedWeight::rowElements(const Target &target) const {
  if (lm::isQuantised(format)) {
    int64_t columns = lm::QuantisedLayout::of(format).paddedColumns(lines);
    if (TileFamily::of(format, target).isDequantised())
      return columns;
    return QuantisedRecord::of(target, format)
        .rowElements(columns / lm::kGroup);
  }
  return format == lm::Format::F32 ? lines : 2 * lines;
}

/// Rows that are packed at a time.
static int64_t superblockRows(const Target &target,
                              const PackedWeight &weight) {
  int64_t rows = target.rowBudget / (weight.rowElements(target) * 4);
  if (TileFamily::of(weight.format, target).forManyRows(target).isMatrix())
    return std::max(kMatrixRows, rows / kMatrixRows * kMatrixRows);
  return std::max(target.maxTileRows(), rows);
}

/// Elements of packed rows, with room for one vector too many.
static int64_t packedElements(const Target &target,
                              const PackedWeight &weight) {
  int64_t row = weight.rowElements(target);
  if (TileFamily::of(weight.format, target).isMatrix())
    row = std::max<int64_t>(row, llvm::alignTo(weight.lines, kMatrixLines));
  return superblockRows(target, weight) * row + 16;
}

TileFamily moec::kernels::familyOf(const PackedWeight &weight, Value x,
                                   const Target &target) {
  TileFamily family = TileFamily::of(weight.format, target);
  // Pairs are packed as they lie in x; rows of f32 take the other recipe.
  if (family.recipe != Recipe::GroupSums &&
      !cast<MemRefType>(x.getType()).getElementType().isBF16())
    family.recipe = Recipe::WidenFMA;
  return family;
}

/// Elements of the f32 tile, with what matrix tiles need beside.
static int64_t tileElements(const Target &target, const TileFamily &family) {
  if (family.forManyRows(target).isMatrix())
    return matrixTileElements(target);
  int64_t most = 0;
  for (int64_t r = 1; r <= family.maxRows(target); ++r)
    most = std::max(most, r * streamsOf(target, family, r) * 32);
  return most;
}

int64_t moec::kernels::matmulScratchBytes(const Target &target,
                                          const PackedWeight &weight) {
  // Rows of f32 take the other recipe of floats (familyOf).
  TileFamily family = TileFamily::of(weight.format, target), ofFloats = family;
  ofFloats.recipe = Recipe::WidenFMA;
  return 4 * (packedElements(target, weight) +
              std::max(tileElements(target, family),
                       tileElements(target, ofFloats)));
}

namespace {
/// What a tile of a pair of panels fetches from memory, in lines from the
/// pair's first: block b of several takes its part of the next pair; a single
/// block its own panels, some lines ahead, and where it has both in one tile,
/// from step `wrap` on those of the next pair; a tile of one panel goes on to
/// what lies behind it. Tiles that read in runs fetch nothing.
struct Fetch {
  Value first, second, part, shift, wrap;
};

/// Pairs of panels that are computed together: `count` of them, `apart` from
/// each other. Going on to the next pairs, each is a stream through memory.
struct Streams {
  Value count, apart;
};

struct MatmulEmitter {
  Emitter &e;
  ModuleOp module;
  const PackedWeight &weight;
  TileFamily family;
  Value x;
  const TileWriter &writer;
  int64_t columnsOfX;
  Value scratch, packed, tile, bLines;
  Value expertLine; // first line of the expert's matrix

  RowPacker packer() const {
    return {e, weight, family, x, columnsOfX, packed};
  }
  int64_t rowElements() const { return packer().rowElements(); }
  int64_t maxRows() const { return family.maxRows(e.target); }

  void writeTile(Value firstRow, Value rows, Value pair, Streams streams);
  void writeVector(Value row, Value rows, Value r, Value panel, Value inTile,
                   Value streams);
  Value streamsFor(Value rows);
  void forBlocks(Value count, int64_t most,
                 function_ref<void(Value start, Value rows)> body);
  void packRows(Value base, Value count, int64_t most,
                function_ref<Value(Value)> source);
  Fetch planFetch(Value count, Value blocks);
  std::pair<Value, Value> blockRows(Value count, Value block, Value blocks);
  /// Rows that a cut leaves together: padding costs a matrix tile as much.
  int64_t unit() const { return family.isMatrix() ? kMatrixRows : 1; }
  void callTiles(func::FuncOp dispatch, Value rows, Value offset, Value line,
                 Value stride, ValueRange fetch, Value tileOffset);
  void runStreams(Value base, Value rows, Value firstPair, Streams streams);
  void runPairs(Value base, Value count, Value blocks, Value firstPair,
                Value lastPair);
  void runByCount(Value base, Value count, Value firstPair, Value lastPair,
                  function_ref<Value(Value)> source);
  void runSuperblock(Value base, Value count, Value firstPair, Value lastPair,
                     function_ref<Value(Value)> source);
};
} // namespace

/// Cuts `count` rows into the fewest blocks of at most `most` rows, sizes
/// differing by at most one unit.
void MatmulEmitter::forBlocks(Value count, int64_t most,
                              function_ref<void(Value, Value)> body) {
  Value blocks = e.ceilDiv(count, e.index(most));
  e.loop(e.index(0), blocks, 1, [&](Value block) {
    auto [start, rows] = blockRows(count, block, blocks);
    body(start, rows);
  });
}

std::pair<Value, Value> MatmulEmitter::blockRows(Value count, Value block,
                                                 Value blocks) {
  Value units = e.ceilDiv(count, e.index(unit()));
  auto cut = [&](Value block) {
    Value at = e.mul(e.div(e.mul(units, block), blocks), unit());
    return unit() == 1 ? at : e.min(at, count);
  };
  Value start = cut(block), end = cut(e.add(block, 1));
  return {start, e.sub(end, start)};
}

Fetch MatmulEmitter::planFetch(Value count, Value blocks) {
  Value isAlone = e.equal(blocks, e.index(1));
  // 2^log2(blocks) blocks cover the 2 * lines lines of a pair.
  Value leading = math::CountLeadingZerosOp::create(e.b, e.loc, blocks);
  Value log2 = e.sub(e.index(63), leading);
  Value part =
      arith::ShRUIOp::create(e.b, e.loc, e.index(2 * weight.lines), log2);
  int64_t few = 0;
  while (fetchesAsStream(e.target, family, few + 1, /*inStreams=*/false))
    ++few;
  auto leadFor = [&](bool asStream) {
    return e.index(std::min(leadOf(e.target, family, asStream), weight.lines));
  };
  Value ahead = leadFor(false);
  if (few)
    ahead = e.select(e.lessEqual(count, e.index(few)), leadFor(true), ahead);
  return {
      e.select(isAlone, ahead, e.index(2 * weight.lines)),
      e.select(isAlone, e.index(weight.lines), e.index(1)),
      e.select(isAlone, e.index(0), part), e.select(isAlone, e.index(1), log2),
      e.select(isAlone, e.max(e.sub(e.index(weight.lines), ahead), e.index(0)),
               e.index(2 * weight.lines))};
}

void MatmulEmitter::packRows(Value base, Value count, int64_t most,
                             function_ref<Value(Value)> source) {
  forBlocks(count, most, [&](Value start, Value rows) {
    packer().packBlock(e.add(base, start), rows, e.mul(start, rowElements()),
                       source);
  });
}

/// Streams of `rows` rows; several blocks of them take pairs.
Value MatmulEmitter::streamsFor(Value rows) {
  Value streams = e.index(1);
  int64_t next = 1;
  for (int64_t r = maxRows(); r >= 1; --r) {
    int64_t here = streamsOf(e.target, family, r);
    if (here != next)
      streams = e.select(e.lessEqual(rows, e.index(r)), e.index(here), streams);
    next = here;
  }
  return streams;
}

/// One vector of row r and a panel (the gate's, when paired), which is the
/// `inTile`-th of the tile.
void MatmulEmitter::writeVector(Value row, Value rows, Value r, Value panel,
                                Value inTile, Value streams) {
  int64_t perPanel = 16 / e.lanes;
  Value outPanel = writer.paired ? e.div(panel, 2) : panel;
  for (int64_t v = 0; v < perPanel; ++v) {
    Value column = e.add(e.mul(outPanel, 16), v * e.lanes);
    auto at = [&](Value inTile) {
      Value element = e.mul(e.add(e.mul(inTile, rows), r), 16);
      return e.load(tile, {e.add(element, v * e.lanes)});
    };
    Value acc = at(inTile);
    Value up = writer.paired ? at(e.add(inTile, streams)) : Value();
    auto emit = [&](Value mask) {
      writer.store(writer.combine(acc, up, row, column, mask), row, column,
                   mask);
    };
    int64_t outPanels = writer.paired ? weight.panels / 2 : weight.panels;
    if (outPanels * 16 == writer.columns) {
      emit(Value());
      continue;
    }
    Value left = e.sub(e.index(writer.columns), column);
    e.when(
        e.lessEqual(e.index(e.lanes), left), [&] { emit(Value()); },
        [&] {
          e.when(e.less(e.index(0), left), [&] { emit(e.maskOf(left)); });
        });
  }
}

/// The tile has the first panels of all streams' pairs, then the second.
void MatmulEmitter::writeTile(Value firstRow, Value rows, Value pair,
                              Streams streams) {
  e.loop(e.index(0), rows, 1, [&](Value r) {
    e.loop(e.index(0), streams.count, 1, [&](Value s) {
      Value panel = e.mul(e.add(pair, e.mul(s, streams.apart)), 2);
      e.loop(e.index(0), e.index(writer.paired ? 1 : 2), 1, [&](Value half) {
        writeVector(e.add(firstRow, r), rows, r, e.add(panel, half),
                    e.add(s, e.mul(half, streams.count)), streams.count);
      });
    });
  });
}

/// One block of few rows against pairs [firstPair, lastPair): each stream takes
/// its part of them from end to end. A tile that starts somewhere else in
/// memory waits for its first lines: on Zen 4 12 % of the time of one row
/// (OLMoE's layer, bf16).
void MatmulEmitter::runStreams(Value base, Value rows, Value firstPair,
                               Streams streams) {
  auto dispatch = getTileDispatch(module, e.target, family, /*inStreams=*/true);
  Value lead = e.index(leadOf(e.target, family, /*asStream=*/true));
  Value stride = e.mul(streams.apart, 2 * weight.lines);
  e.loop(e.index(0), streams.apart, 1, [&](Value i) {
    Value pair = e.add(firstPair, i);
    e.loop(e.index(0), e.index(2), 1, [&](Value half) {
      Value panel = e.add(e.mul(pair, 2), half);
      Value line = e.add(expertLine, e.mul(panel, weight.lines));
      Value ahead = e.add(line, lead);
      callTiles(
          dispatch, rows, e.index(0), line, stride,
          {ahead, e.add(ahead, stride), e.index(1), e.index(2 * weight.lines)},
          e.mul(half, e.mul(streams.count, e.mul(rows, 16))));
    });
    writeTile(base, rows, pair, streams);
  });
}

/// The row blocks of one superblock against pairs of panels.
void MatmulEmitter::runPairs(Value base, Value count, Value blocks,
                             Value firstPair, Value lastPair) {
  auto dispatch =
      getTileDispatch(module, e.target, family, /*inStreams=*/false);
  Fetch fetch = planFetch(count, blocks);
  e.loop(firstPair, lastPair, 1, [&](Value pair) {
    e.loop(e.index(0), blocks, 1, [&](Value block) {
      auto [start, rows] = blockRows(count, block, blocks);
      if (writer.fetch)
        e.loop(e.index(0), rows, 1, [&, start = start](Value r) {
          writer.fetch(e.add(e.add(base, start), r),
                       e.mul(pair, writer.paired ? 16 : 32));
        });
      Value line = e.add(expertLine, e.mul(pair, 2 * weight.lines));
      Value ahead = e.add(line, e.add(fetch.first, e.mul(block, fetch.part)));
      callTiles(dispatch, rows, e.mul(start, rowElements()), line,
                e.index(weight.lines),
                {ahead, e.add(ahead, fetch.second), fetch.shift, fetch.wrap},
                e.index(0));
      writeTile(e.add(base, start), rows, pair, {e.index(1), e.index(0)});
    });
  });
}

void MatmulEmitter::callTiles(func::FuncOp dispatch, Value rows, Value offset,
                              Value line, Value stride, ValueRange fetch,
                              Value tileOffset) {
  SmallVector<Value> operands = {
      rows, packed, offset, bLines, line, e.index(weight.lines), stride};
  operands.append(fetch.begin(), fetch.end());
  operands.append({tile, tileOffset});
  func::CallOp::create(e.b, e.loc, dispatch, operands);
}

/// The row blocks of one superblock against a range of pairs of panels.
void MatmulEmitter::runSuperblock(Value base, Value count, Value firstPair,
                                  Value lastPair,
                                  function_ref<Value(Value)> source) {
  int64_t most = maxRows();
  packRows(base, count, most, source);
  // Once for all panels: to configure takes some 200 cycles, in which a block
  // of 32 rows takes 100 K.
  if (family.isMatrix())
    emitMatrixConfiguration(e, family, tile, count);
  Value blocks = e.ceilDiv(count, e.index(most));
  Streams streams{streamsFor(count), e.index(0)};
  Value isStreamed = e.less(e.index(1), streams.count);
  Value pairs = e.sub(lastPair, firstPair);
  streams.apart =
      e.select(isStreamed, e.div(pairs, streams.count), streams.apart);
  if (streamsOf(e.target, family, 1) > 1)
    runStreams(base, count, firstPair, streams);
  Value done = e.mul(streams.apart, streams.count);
  runPairs(base, count, blocks, e.add(firstPair, done), lastPair);
  if (family.isMatrix())
    emitMatrixRelease(e);
}

/// A superblock by the family of its number of rows.
void MatmulEmitter::runByCount(Value base, Value count, Value firstPair,
                               Value lastPair,
                               function_ref<Value(Value)> source) {
  TileFamily few = family, many = family.forManyRows(e.target);
  auto runAs = [&](const TileFamily &which) {
    family = which;
    runSuperblock(base, count, firstPair, lastPair, source);
    family = few;
  };
  if (few.isMatrix() == many.isMatrix())
    return runAs(few);
  e.when(
      e.less(count, e.index(kMatrixLeast)), [&] { runAs(few); },
      [&] { runAs(many); });
}

void moec::kernels::emitMatmul(Emitter &e, ModuleOp module,
                               const PackedWeight &weight, Value expert,
                               Value x, Value first, Value last,
                               Value firstPair, Value lastPair,
                               function_ref<Value(Value)> source, Value scratch,
                               const TileWriter &writer) {
  TileFamily family = familyOf(weight, x, e.target);
  MatmulEmitter m{e,
                  module,
                  weight,
                  family,
                  x,
                  writer,
                  cast<MemRefType>(x.getType()).getDimSize(1),
                  scratch,
                  {},
                  {},
                  {},
                  {}};
  int64_t superblock = superblockRows(e.target, weight);
  int64_t elements = packedElements(e.target, weight);
  auto dynamic = [&](Type element) {
    return MemRefType::get({ShapedType::kDynamic}, element);
  };
  m.packed = memref::ViewOp::create(e.b, e.loc, dynamic(family.rowElement(e.b)),
                                    scratch, e.index(0),
                                    ValueRange{e.index(elements)});
  m.tile = memref::ViewOp::create(
      e.b, e.loc, dynamic(e.b.getF32Type()), scratch, e.index(4 * elements),
      ValueRange{e.index(tileElements(e.target, family))});
  // Descriptors of the tile functions want dynamic sizes.
  Value flat = memref::CollapseShapeOp::create(
      e.b, e.loc, weight.buffer,
      SmallVector<ReassociationIndices>{{0, 1, 2}, {3}});
  auto lines = cast<MemRefType>(flat.getType());
  m.bLines = memref::CastOp::create(
      e.b, e.loc,
      MemRefType::get({ShapedType::kDynamic, lines.getDimSize(1)},
                      lines.getElementType()),
      flat);
  m.expertLine = e.mul(expert, weight.panels * weight.lines);

  // Superblocks of nearly one size: weights are read once for each.
  Value count = e.sub(last, first);
  m.forBlocks(count, superblock, [&](Value start, Value rows) {
    Value base = e.add(first, start);
    m.runByCount(base, rows, firstPair, lastPair, source);
  });
}
