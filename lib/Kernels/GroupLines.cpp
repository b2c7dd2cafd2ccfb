//===- GroupLines.cpp - Reads a group of quantised weights ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "GroupLines.h"
#include "QuantisedRows.h"

using namespace mlir;
using namespace moec::kernels;
using lm::QuantisedLayout;

GroupLines::GroupLines(TileBuilder &tile, Value group)
    : tile(tile), e(tile.e), layout(QuantisedLayout::of(tile.family.format)) {
  // Addresses are sums with a constant: two registers a panel serve all lines.
  bytes = memref::CollapseShapeOp::create(
      e.b, e.loc, tile.bLines, SmallVector<ReassociationIndices>{{0, 1}});
  Value scaleLine, inLine = e.index(0);
  if (layout.spansRow()) {
    line = e.mul(group, layout.groupLines);
    scaleLine = e.sub(tile.lines, e.index(layout.scaleLines));
  } else {
    scaleLine = e.mul(e.div(group, layout.groups), layout.blockLines());
    Value inBlock = e.rem(group, e.index(layout.groups));
    line = e.add(scaleLine,
                 e.add(e.mul(inBlock, layout.groupLines), layout.scaleLines));
    inLine = e.mul(inBlock, 16 * layout.scaleBytes);
  }
  for (int64_t panel = 0; panel < tile.panels; ++panel) {
    starts.push_back(e.mul(tile.panelLine(panel, line), 64));
    scales.push_back(
        e.add(e.mul(tile.panelLine(panel, scaleLine), 64), inLine));
  }
}

/// Bytes before what each panel fetches; none where nothing is fetched.
SmallVector<Value> GroupLines::findFetched() {
  SmallVector<Value> starts;
  if (int64_t ahead = tile.lead())
    for (int64_t panel = 0; panel < tile.panels; ++panel)
      starts.push_back(e.mul(tile.fetchedLine(panel, line, ahead), 64));
  return starts;
}

/// Into the second-level cache.
void GroupLines::fetchAt(Value start, Value line) {
  memref::PrefetchOp::create(e.b, e.loc, bytes,
                             ValueRange{e.add(start, e.mul(line, 64))},
                             /*isWrite=*/false, /*localityHint=*/2,
                             /*isDataCache=*/true);
}

/// A core waits for few lines of its own at once (Zen 4: 20 GB/s), its
/// prefetcher for more: where little else takes time (streams), only the first
/// line is fetched, or none, and the prefetcher does the rest.
void GroupLines::prefetch() {
  bool all = fetchesEveryLine(e.target, tile.asStream);
  int64_t lines = all ? layout.groupLines + fetchedScales() : 1;
  for (Value start : findFetched())
    for (int64_t i = 0; i < lines; ++i)
      fetchAt(start, e.index(i));
}

void GroupLines::prefetchBesideLines(int64_t slots) {
  // More panels are more addresses than registers take.
  bool isLeft = fetchesEveryLine(e.target, tile.asStream) &&
                tile.fetchesBetween(slots) && tile.panels <= 2;
  if (!isLeft)
    return prefetch();
  leftToLines = findFetched();
}

void GroupLines::fetchLine(int64_t panel, Value line) {
  if (!leftToLines.empty())
    fetchAt(leftToLines[panel], line);
}

Value GroupLines::loadBytes(Value start, Value first, int64_t count) {
  return vector::LoadOp::create(e.b, e.loc,
                                VectorType::get({count}, e.b.getI8Type()),
                                bytes, ValueRange{e.add(start, first)});
}

Value GroupLines::loadLine(int64_t v, Value line) {
  Value raw = loadBytes(starts[panelOf(v)],
                        e.add(e.mul(line, 64), 4 * laneOf(v)), 4 * e.lanes);
  return vector::BitCastOp::create(e.b, e.loc, e.vectorOf(e.b.getI32Type()),
                                   raw);
}

Value GroupLines::unpack(Value bytes, int64_t quad) {
  Type i32 = bytes.getType();
  if (layout.isNibbles()) {
    if (quad)
      bytes = arith::ShRUIOp::create(e.b, e.loc, bytes, e.integer(i32, 4));
    bytes =
        arith::AndIOp::create(e.b, e.loc, bytes, e.integer(i32, 0x0f0f0f0f));
  }
  if (layout.isTable()) {
    int64_t bias = productBias(e.target, layout);
    SmallVector<int8_t> table;
    for (int8_t integer : layout.table)
      table.push_back(static_cast<int8_t>(integer + bias));
    bytes = emitLookUp(e, bytes, table);
  }
  return bytes;
}

Value GroupLines::loadScales(int64_t v, int64_t kind) {
  int64_t each = layout.scaleBytes;
  Value raw = loadBytes(scales[panelOf(v)],
                        e.index(64 * kind + laneOf(v) * each), e.lanes * each);
  if (each == 4)
    return vector::BitCastOp::create(e.b, e.loc, e.vectorType(), raw);
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

Value TileBuilder::countGroups() {
  QuantisedLayout layout = QuantisedLayout::of(family.format);
  if (layout.spansRow())
    return e.div(lines, layout.groupLines); // and lines of scales
  return e.mul(e.div(lines, layout.blockLines()), layout.groups);
}
