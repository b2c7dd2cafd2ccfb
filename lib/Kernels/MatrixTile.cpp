//===- MatrixTile.cpp - Tiles of rows and panels in AMX's registers -------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "MatrixTile.h"
#include "GroupLines.h"
#include "ISA/TileRegisters.h"
#include "QuantisedRows.h"

using namespace mlir;
using namespace moec::kernels;

// A thread's memory in f32 elements: tiles that are finished, of all streams'
// pairs of panels; four tiles that are not (the end of K, padded; integer
// sums); a group of two panels as bytes; the registers' state.
static constexpr int64_t kTile = TileRegisters::kBytes / 4;
static constexpr int64_t kStreams = 4;
static constexpr int64_t kEdgeAt = 2 * kStreams * kTile;
static constexpr int64_t kBytesAt = kEdgeAt + kStreams * kTile;
static constexpr int64_t kStateAt = kBytesAt + kTile;

int64_t moec::kernels::matrixTileElements(const Target &target) {
  return kStateAt + TileRegisters::stateBytes(target) / 4;
}

static TileRegisters registersIn(Emitter &e, Value memory) {
  return {e, e.add(e.addressOf(memory), 4 * kStateAt)};
}

// Registers 0..3 hold sums, 4 and 5 rows, 6 and 7 weights. With two tiles of
// rows the second's sums are 2 and 3.
static constexpr int64_t kFirstRows = 4, kFirstWeights = 6;

/// Lines of the panel in a tile: integers are summed by groups.
static int64_t linesOf(const TileFamily &family) {
  return family.recipe == Recipe::TilePairs ? kMatrixLines : lm::kGroup / 4;
}

void moec::kernels::emitMatrixConfiguration(Emitter &e,
                                            const TileFamily &family,
                                            Value memory, Value count) {
  constexpr int64_t most = TileRegisters::kRows;
  int64_t lines = linesOf(family), whole = TileRegisters::kRowBytes;
  Value first = e.min(count, e.index(most));
  Value rest = e.min(e.sub(count, e.index(most)), e.index(most));
  Value second = e.select(e.lessEqual(count, e.index(most)), first, rest);
  Value weights = e.index(lines);
  registersIn(e, memory).configure(
      {first, first, second, second, first, second, weights, weights},
      {whole, whole, whole, whole, 4 * lines, 4 * lines, whole, whole});
}

void moec::kernels::emitMatrixRelease(Emitter &e) {
  TileRegisters(e, Value()).release();
}

namespace {
/// Builds the function of one kind of tile.
struct MatrixTile {
  Emitter &e;
  const TileFamily &family;
  int64_t rowTiles;
  Value rows, memory, cOffset;
  TileBuilder tile; // of the same panels
  TileRegisters registers;
  Value aStart, bStart; // addresses

  int64_t sumOf(int64_t t, int64_t p) const { return 2 * t + p; }
  void zeroSums();
  void addTiles(Value aAddress, function_ref<Value(int64_t)> bAddress);
  void multiplyPairs();
  void padEnd(Value line, Value count);
  void multiplyGroups();
  void addGroup(Value group);
  void unpackGroup(GroupLines &lines);
  void scaleGroup(GroupLines &lines, Value record, int64_t t);
  /// Where the tile's result of a row and a panel starts in `memory`.
  Value resultAt(Value row, int64_t p) {
    return e.add(cOffset,
                 e.mul(e.add(e.mul(rows, p), row), TileRegisters::kRows));
  }
  void storeSums();
  void clearResults();
};
} // namespace

void MatrixTile::zeroSums() {
  for (int64_t t = 0; t < rowTiles; ++t)
    for (int64_t p = 0; p < tile.panels; ++p)
      registers.zero(sumOf(t, p));
}

/// Adds the products of the rows from aAddress on with a tile of each panel.
void MatrixTile::addTiles(Value aAddress,
                          function_ref<Value(int64_t)> bAddress) {
  int64_t rowBytes = 4 * linesOf(family);
  for (int64_t p = 0; p < tile.panels; ++p) {
    int64_t weights = kFirstWeights + p % 2;
    registers.load(weights, bAddress(p));
    for (int64_t t = 0; t < rowTiles; ++t) {
      if (p == 0)
        registers.load(kFirstRows + t,
                       e.add(aAddress, t * TileRegisters::kRows * rowBytes),
                       rowBytes);
      if (family.recipe == Recipe::TilePairs)
        registers.dotPairs(sumOf(t, p), kFirstRows + t, weights);
      else
        registers.dotQuads(sumOf(t, p), kFirstRows + t, weights);
    }
  }
}

//===----------------------------------------------------------------------===//
// Pairs of bf16
//===----------------------------------------------------------------------===//

/// Copies the last lines of all panels, with lines of zeros behind.
void MatrixTile::padEnd(Value line, Value count) {
  auto eachVector = [&](Value i, function_ref<Value(int64_t)> value) {
    for (int64_t v = 0; v < tile.vectors(); ++v) {
      int64_t perPanel = tile.vectorsPerPanel();
      int64_t at = kEdgeAt + v / perPanel * kTile + v % perPanel * e.lanes;
      e.store(value(v), memory, {e.add(e.mul(i, 16), at)});
    }
  };
  e.loop(e.index(0), count, 1, [&](Value i) {
    eachVector(i, [&](int64_t v) -> Value {
      Value pairs = tile.loadPairs(v, e.add(line, i));
      return vector::BitCastOp::create(e.b, e.loc, e.vectorType(), pairs);
    });
  });
  e.loop(count, e.index(kMatrixLines), 1, [&](Value i) {
    eachVector(i, [&](int64_t) { return e.splat(0.0); });
  });
}

void MatrixTile::multiplyPairs() {
  Value whole = e.div(tile.lines, kMatrixLines);
  auto rowsAt = [&](Value step) {
    return e.add(aStart, e.mul(e.mul(step, rows), TileRegisters::kRowBytes));
  };
  zeroSums();
  e.loop(e.index(0), whole, 1, [&](Value step) {
    Value line = e.mul(step, kMatrixLines);
    for (int64_t i = 0; i < kMatrixLines; ++i)
      tile.prefetch(e.add(line, i));
    addTiles(rowsAt(step), [&](int64_t p) {
      return e.add(bStart, e.mul(tile.panelLine(p, line), 64));
    });
  });
  Value line = e.mul(whole, kMatrixLines);
  e.when(e.less(line, tile.lines), [&] {
    padEnd(line, e.sub(tile.lines, line));
    Value edge = e.add(e.addressOf(memory), 4 * kEdgeAt);
    addTiles(rowsAt(whole),
             [&](int64_t p) { return e.add(edge, p * TileRegisters::kBytes); });
  });
  storeSums();
}

/// In ascending order of panels: rows that a tile has too many are overwritten.
void MatrixTile::storeSums() {
  Value start = e.addressOf(memory);
  for (int64_t p = 0; p < tile.panels; ++p)
    for (int64_t t = 0; t < rowTiles; ++t) {
      Value at = resultAt(e.index(t * TileRegisters::kRows), p);
      registers.store(sumOf(t, p), e.add(start, e.mul(at, 4)));
    }
}

//===----------------------------------------------------------------------===//
// Groups of integers
//===----------------------------------------------------------------------===//

void MatrixTile::clearResults() {
  e.loop(e.index(0), e.mul(rows, 16 * tile.panels), e.lanes, [&](Value at) {
    e.store(e.splat(0.0), memory, {e.add(cOffset, at)});
  });
}

/// Writes nibbles as bytes, a panel's lines behind the other's. Each block of
/// rows does so: it is a sixth of the instructions that scale 32 rows.
void MatrixTile::unpackGroup(GroupLines &lines) {
  for (int64_t v = 0; v < tile.vectors(); ++v)
    for (int64_t line = 0; line < lines.layout.groupLines; ++line) {
      Value raw = lines.loadLine(v, e.index(line));
      for (int64_t quad = 0; quad < lines.quads(); ++quad) {
        int64_t to = line * lines.quads() + quad;
        int64_t at = kBytesAt + lines.panelOf(v) * kTile / 2 + 16 * to;
        Value bytes = arith::BitcastOp::create(e.b, e.loc, e.vectorType(),
                                               lines.unpack(raw, quad));
        e.store(bytes, memory, {e.index(at + lines.laneOf(v))});
      }
    }
}

/// Scales the integer sums of row tile t and adds them to the results: the
/// operations of GroupTile::addTo, in its order.
void MatrixTile::scaleGroup(GroupLines &lines, Value record, int64_t t) {
  bool hasMinimum = lines.layout.hasMinimum();
  bool isBiased = productBias(e.target, lines.layout);
  SmallVector<Value> factors, minima;
  for (int64_t v = 0; v < tile.vectors(); ++v) {
    factors.push_back(lines.loadScales(v, 0));
    if (hasMinimum)
      minima.push_back(lines.loadScales(v, 1));
  }
  Value quads = e.mul(rows, lm::kGroup / 4), scales = e.add(record, quads);
  constexpr int64_t most = TileRegisters::kRows;
  Value end = rowTiles == 1 || t ? rows : e.index(most);
  e.loop(e.index(t * most), end, 1, [&](Value r) {
    auto asFloat = [&](Value bits) -> Value {
      return arith::BitcastOp::create(e.b, e.loc, e.vectorType(), bits);
    };
    Value scale = asFloat(tile.broadcastRow(0, e.add(scales, r)));
    Value offset = tile.broadcastRow(0, e.add(e.add(scales, rows), r));
    Value inTile = e.mul(e.sub(r, e.index(t * most)), 16);
    for (int64_t v = 0; v < tile.vectors(); ++v) {
      int64_t p = v / tile.vectorsPerPanel(), lane = lines.laneOf(v);
      int64_t edge = kEdgeAt + sumOf(t, p) * kTile + lane;
      Value sum = arith::BitcastOp::create(
          e.b, e.loc, offset.getType(), e.load(memory, {e.add(inTile, edge)}));
      Value exact = arith::SIToFPOp::create(
          e.b, e.loc, e.vectorType(), isBiased ? e.add(sum, offset) : sum);
      Value at = e.add(resultAt(r, p), lane);
      Value acc = e.fma(exact, e.mulf(factors[v], scale), e.load(memory, {at}));
      if (hasMinimum)
        acc = e.fma(minima[v], asFloat(offset), acc);
      e.store(acc, memory, {at});
    }
  });
}

void MatrixTile::addGroup(Value group) {
  GroupLines lines(tile, group);
  lines.prefetch();
  int64_t elements = QuantisedRecord::of(e.target, family.format).elements;
  Value inRows = e.mul(e.mul(group, rows), elements);
  Value start = e.addressOf(memory), edge = e.add(start, 4 * kEdgeAt);
  bool isNibbles = lines.layout.isNibbles();
  if (isNibbles)
    unpackGroup(lines);
  zeroSums();
  addTiles(e.add(aStart, e.mul(inRows, 4)), [&](int64_t p) {
    return isNibbles ? e.add(start, 4 * kBytesAt + 2 * kTile * p)
                     : e.add(bStart, lines.starts[p]);
  });
  for (int64_t t = 0; t < rowTiles; ++t)
    for (int64_t p = 0; p < tile.panels; ++p)
      registers.store(sumOf(t, p),
                      e.add(edge, sumOf(t, p) * TileRegisters::kBytes));
  for (int64_t t = 0; t < rowTiles; ++t)
    scaleGroup(lines, e.add(tile.aOffset, inRows), t);
}

void MatrixTile::multiplyGroups() {
  clearResults();
  e.loop(e.index(0), tile.countGroups(), 1,
         [&](Value group) { addGroup(group); });
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

static func::FuncOp getMatrixTile(ModuleOp module, const Target &target,
                                  const TileFamily &family, int64_t rowTiles,
                                  int64_t panels) {
  int64_t most = rowTiles * TileRegisters::kRows;
  std::string name = "tile_" + family.name() + "_" + std::to_string(most) +
                     "x" + std::to_string(panels * 16);
  if (auto known = module.lookupSymbol<func::FuncOp>(name))
    return known;
  OpBuilder b(module.getContext());
  auto function = beginTileFunction(b, module, name, family, /*asks=*/true);
  Emitter e(b, function.getLoc(), target);
  Value rows = function.getArgument(0);
  auto args = function.getArguments().drop_front();
  TileBuilder tile = TileBuilder::of(e, family, most, panels,
                                     fetchesAsStream(target, family, most,
                                                     /*inStreams=*/false),
                                     args);
  Value aStart = e.add(e.addressOf(tile.a), e.mul(tile.aOffset, 4));
  MatrixTile builder{e,        family,
                     rowTiles, rows,
                     args[10], args[11],
                     tile,     registersIn(e, args[10]),
                     aStart,   e.addressOf(tile.bLines)};
  if (family.recipe == Recipe::TilePairs)
    builder.multiplyPairs();
  else
    builder.multiplyGroups();
  func::ReturnOp::create(b, e.loc);
  return function;
}

func::FuncOp moec::kernels::getMatrixDispatch(ModuleOp module,
                                              const Target &target,
                                              const TileFamily &family,
                                              bool inStreams) {
  if (inStreams)
    return getMatrixTile(module, target, family, 1,
                         streamsOf(target, family, 1));
  std::string name = "tiles_pair_" + family.name();
  if (auto known = module.lookupSymbol<func::FuncOp>(name))
    return known;
  OpBuilder b(module.getContext());
  auto function = beginTileFunction(b, module, name, family, /*asks=*/true);
  Emitter e(b, function.getLoc(), target);
  auto call = [&](int64_t rowTiles) {
    func::FuncOp tile = getMatrixTile(module, target, family, rowTiles, 2);
    func::CallOp::create(b, e.loc, tile, function.getArguments());
  };
  e.when(
      e.lessEqual(function.getArgument(0), e.index(TileRegisters::kRows)),
      [&] { call(1); }, [&] { call(2); });
  func::ReturnOp::create(b, e.loc);
  return function;
}
