//===- QuantisedTile.cpp - Register tiles over groups of integers ---------===//
//
// Part of moe-mlir. Of each group of 32 columns the products of integers are
// summed exactly; then sum = fma(group's sum, weight's scale * row's scale,
// sum), and with a minimum sum = fma(minimum, row's scale * row's sum, sum).
//
//===----------------------------------------------------------------------===//

#include "QuantisedRows.h"
#include "TileBuilder.h"

using namespace mlir;
using namespace moec::kernels;
using lm::QuantisedLayout;

namespace {
/// One group of one tile.
struct GroupTile {
  TileBuilder &tile;
  Emitter &e;
  QuantisedLayout layout;
  QuantisedRecord record;
  ByteDot dot;
  Value bytes;                  // the weight, flat
  Value line, inBlock, element; // of the group
  SmallVector<Value> starts;    // bytes before the group, by panel
  SmallVector<Value> scales;    // bytes before its scales

  GroupTile(TileBuilder &tile, Value group);

  void prefetch();
  Value loadBytes(Value start, Value first, int64_t count);
  int64_t panelOf(int64_t v) const { return v / tile.vectorsPerPanel(); }
  int64_t laneOf(int64_t v) const {
    return v % tile.vectorsPerPanel() * e.lanes;
  }
  Value loadScales(int64_t v, int64_t kind);
  Value loadRow(int64_t row, Value at) {
    return tile.broadcastRow(row, e.add(element, e.mul(at, tile.rows)));
  }
  Value loadRow(int64_t row, int64_t at) { return loadRow(row, e.index(at)); }
  SmallVector<Value> unpack(Value bytes, int64_t quad);
  SmallVector<Value> startSums(int64_t vectors);
  void addLine(Value line, int64_t first, int64_t vectors,
               SmallVectorImpl<Value> &sums);
  int64_t linesAtOnce() const;
  SmallVector<Value> addLines(int64_t from, int64_t to, int64_t first,
                              int64_t vectors, SmallVector<Value> sums);
  SmallVector<Value> sumGroup(int64_t first, int64_t vectors);
  void addTo(SmallVectorImpl<Value> &acc, int64_t first, int64_t vectors,
             ValueRange sums);
};
} // namespace

GroupTile::GroupTile(TileBuilder &tile, Value group)
    : tile(tile), e(tile.e), layout(QuantisedLayout::of(tile.family.format)),
      record(QuantisedRecord::of(e.target, tile.family.format)),
      dot(byteDotOf(e.target, tile.family.format)) {
  // Addresses are sums with a constant: two registers a panel serve all lines.
  bytes = memref::CollapseShapeOp::create(
      e.b, e.loc, tile.bLines, SmallVector<ReassociationIndices>{{0, 1}});
  Value block = e.mul(e.div(group, layout.groups), layout.blockLines());
  inBlock = e.rem(group, e.index(layout.groups));
  line =
      e.add(block, e.add(e.mul(inBlock, layout.groupLines), layout.scaleLines));
  Value inLine = e.mul(inBlock, 16 * layout.scaleBytes);
  for (int64_t panel = 0; panel < tile.panels; ++panel) {
    starts.push_back(e.mul(tile.panelLine(panel, line), 64));
    scales.push_back(e.add(e.mul(tile.panelLine(panel, block), 64), inLine));
  }
  element = e.add(tile.aOffset, e.mul(group, record.elements * tile.rows));
}

/// Fetches as many lines as the group has and those of scales behind, into the
/// second-level cache: what TileBuilder::prefetch does line by line, with one
/// address a panel. A core waits for few lines of its own at once (Zen 4: 20
/// GB/s), its prefetcher for more: where nothing else takes time (streams),
/// only the first line is fetched, and the prefetcher does the rest (OLMoE's
/// layer, nibbles at T=1: 27 GB/s).
void GroupTile::prefetch() {
  int64_t lead = leadOf(e.target, tile.family, tile.rows);
  if (!lead)
    return;
  int64_t count = fetchesEveryLine(e.target, tile.family, tile.rows)
                      ? layout.groupLines + layout.scaleLines
                      : 1;
  for (int64_t panel = 0; panel < tile.panels; ++panel) {
    Value start = e.mul(tile.fetchedLine(panel, line, lead), 64);
    for (int64_t i = 0; i < count; ++i)
      memref::PrefetchOp::create(e.b, e.loc, bytes,
                                 ValueRange{e.add(start, 64 * i)},
                                 /*isWrite=*/false, /*localityHint=*/2,
                                 /*isDataCache=*/true);
  }
}

Value GroupTile::loadBytes(Value start, Value first, int64_t count) {
  return vector::LoadOp::create(e.b, e.loc,
                                VectorType::get({count}, e.b.getI8Type()),
                                bytes, ValueRange{e.add(start, first)});
}

/// A kind of scale (0) or minimum (1) of vector v's lanes, as f32.
Value GroupTile::loadScales(int64_t v, int64_t kind) {
  int64_t each = layout.scaleBytes;
  Value raw = loadBytes(scales[panelOf(v)],
                        e.index(64 * kind + laneOf(v) * each), e.lanes * each);
  if (each == 2) {
    Value halves = vector::BitCastOp::create(e.b, e.loc,
                                             e.vectorOf(e.b.getF16Type()), raw);
    return e.widen(halves);
  }
  // E8M0: the exponent of f32.
  Type i32 = e.vectorOf(e.b.getI32Type());
  Value bits = arith::ExtUIOp::create(e.b, e.loc, i32, raw);
  bits = arith::ShLIOp::create(e.b, e.loc, bits, e.integer(i32, 23));
  return arith::BitcastOp::create(e.b, e.loc, e.vectorType(), bits);
}

/// The unsigned bytes of quad 0 or 1 of a line, as products take them.
SmallVector<Value> GroupTile::unpack(Value bytes, int64_t quad) {
  Type i32 = bytes.getType();
  if (layout.isNibbles()) {
    if (quad)
      bytes = arith::ShRUIOp::create(e.b, e.loc, bytes, e.integer(i32, 4));
    bytes =
        arith::AndIOp::create(e.b, e.loc, bytes, e.integer(i32, 0x0f0f0f0f));
  }
  if (layout.isTable) {
    int8_t table[16], bias = productBias(e.target, layout);
    for (int i = 0; i < 8; ++i) {
      table[i] = bias + lm::kDoubledE2M1[i];
      table[8 + i] = bias - lm::kDoubledE2M1[i];
    }
    bytes = emitLookUp(e, bytes, table);
  }
  return emitWeightQuads(e, dot, bytes, largestInteger(layout));
}

/// What takes back the bias of unsigned weights.
SmallVector<Value> GroupTile::startSums(int64_t vectors) {
  Value zero = e.integer(e.vectorOf(e.b.getI32Type()), 0);
  SmallVector<Value> sums;
  for (int64_t r = 0; r < tile.rows; ++r)
    sums.append(vectors, productBias(e.target, layout)
                             ? loadRow(r, record.offsetAt())
                             : zero);
  return sums;
}

/// Adds the products of a line of `vectors` vectors from `first` on.
void GroupTile::addLine(Value line, int64_t first, int64_t vectors,
                        SmallVectorImpl<Value> &sums) {
  SmallVector<Value> raw;
  for (int64_t v = first; v < first + vectors; ++v)
    raw.push_back(vector::BitCastOp::create(
        e.b, e.loc, e.vectorOf(e.b.getI32Type()),
        loadBytes(starts[panelOf(v)], e.add(e.mul(line, 64), 4 * laneOf(v)),
                  4 * e.lanes)));
  int64_t quads = layout.isNibbles() ? 2 : 1, each = quadElements(dot);
  for (int64_t q = 0; q < quads; ++q) {
    SmallVector<SmallVector<Value>> weights;
    for (Value vector : raw)
      weights.push_back(unpack(vector, q));
    for (int64_t r = 0; r < tile.rows; ++r) {
      SmallVector<Value> row;
      for (int64_t i = 0; i < each; ++i)
        row.push_back(
            loadRow(r, e.add(e.mul(line, quads * each), q * each + i)));
      for (int64_t v = 0; v < vectors; ++v) {
        Value &sum = sums[r * vectors + v];
        sum = emitDotQuads(e, dot, sum, row, weights[v]);
      }
    }
  }
}

/// Lines that stand one after the other; more are a loop. LLVM loads all that
/// stand so before the first product: with 16 registers, or several steps a
/// product, it spills from two lines on, with VPDPBUSD in 32 from four.
int64_t GroupTile::linesAtOnce() const {
  if (e.target.registers < 32 || dot == ByteDot::Narrow)
    return 1;
  return dot == ByteDot::Quads && tile.rows == 1 ? 4 : 2;
}

/// Lines from .. to - 1.
SmallVector<Value> GroupTile::addLines(int64_t from, int64_t to, int64_t first,
                                       int64_t vectors,
                                       SmallVector<Value> sums) {
  int64_t each = std::min(linesAtOnce(), to - from);
  auto addRun = [&](Value start, ValueRange before) {
    SmallVector<Value> next(before);
    for (int64_t i = 0; i < each; ++i)
      addLine(e.add(start, i), first, vectors, next);
    return next;
  };
  if (each == to - from)
    return addRun(e.index(from), sums);
  return e.loop(e.index(from), e.index(to), each, sums, addRun);
}

/// The sums of the group; narrow ones are widened before they may overflow.
SmallVector<Value> GroupTile::sumGroup(int64_t first, int64_t vectors) {
  SmallVector<Value> sums = startSums(vectors);
  if (dot != ByteDot::Narrow)
    return addLines(0, layout.groupLines, first, vectors, sums);
  Value zero = e.integer(e.vectorOf(e.b.getI32Type()), 0);
  int64_t together =
      std::min(narrowQuads(largestInteger(layout)) / 2, layout.groupLines);
  for (int64_t line = 0; line < layout.groupLines; line += together) {
    SmallVector<Value> narrow(sums.size(), zero);
    narrow = addLines(line, line + together, first, vectors, narrow);
    for (auto [sum, part] : llvm::zip(sums, narrow))
      sum = emitAddNarrow(e, sum, part);
  }
  return sums;
}

void GroupTile::addTo(SmallVectorImpl<Value> &acc, int64_t first,
                      int64_t vectors, ValueRange sums) {
  auto asFloat = [&](Value bits) -> Value {
    return arith::BitcastOp::create(e.b, e.loc, e.vectorType(), bits);
  };
  SmallVector<Value> factors, minima;
  for (int64_t v = first; v < first + vectors; ++v) {
    factors.push_back(loadScales(v, 0));
    if (layout.hasMinimum())
      minima.push_back(loadScales(v, 1));
  }
  for (int64_t r = 0; r < tile.rows; ++r) {
    Value rowScale = asFloat(loadRow(r, record.scaleAt()));
    Value rowSum =
        layout.hasMinimum() ? asFloat(loadRow(r, record.offsetAt())) : Value();
    for (int64_t v = 0; v < vectors; ++v) {
      Value &sum = acc[r * tile.vectors() + first + v];
      Value exact = arith::SIToFPOp::create(e.b, e.loc, e.vectorType(),
                                            sums[r * vectors + v]);
      sum = e.fma(exact, e.mulf(factors[v], rowScale), sum);
      if (rowSum)
        sum = e.fma(minima[v], rowSum, sum);
    }
  }
}

Value TileBuilder::countGroups() {
  QuantisedLayout layout = QuantisedLayout::of(family.format);
  return e.mul(e.div(lines, layout.blockLines()), layout.groups);
}

SmallVector<Value> TileBuilder::accumulateGroup(Value group,
                                                ValueRange carried) {
  GroupTile tile(*this, group);
  tile.prefetch();
  SmallVector<Value> acc(carried);
  // With 16 registers the sums of one vector at a time stay in them; those in
  // f32 wait in memory meanwhile.
  int64_t together = e.target.registers >= 32 ? vectors() : 1;
  for (int64_t first = 0; first < vectors(); first += together) {
    SmallVector<Value> sums = tile.sumGroup(first, together);
    tile.addTo(acc, first, together, sums);
  }
  return acc;
}
