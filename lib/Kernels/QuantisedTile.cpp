//===- QuantisedTile.cpp - Register tiles over groups of integers ---------===//
//
// Part of moe-mlir. Of each group of 32 columns the products of integers are
// summed exactly; then sum = fma(group's sum, weight's scale * row's scale,
// sum), and with a minimum sum = fma(minimum, row's scale * row's sum, sum).
// Where a row has one scale its groups are one sum of integers.
//
//===----------------------------------------------------------------------===//

#include "GroupLines.h"
#include "QuantisedRows.h"

using namespace mlir;
using namespace moec::kernels;
using lm::QuantisedLayout;

namespace {
/// One group of one tile.
struct GroupTile : GroupLines {
  QuantisedRecord record;
  ByteDot dot;
  Value element; // of the group's record

  GroupTile(TileBuilder &tile, Value group);

  Value loadRow(int64_t row, Value at) {
    return tile.broadcastRow(row, e.add(element, e.mul(at, tile.rows)));
  }
  Value loadRow(int64_t row, int64_t at) { return loadRow(row, e.index(at)); }
  SmallVector<Value> operands(Value bytes, int64_t quad);
  SmallVector<Value> startSums(int64_t vectors);
  int64_t slots() const { return quads() * tile.rows; }
  void fetchBehind(int64_t slot, Value line, int64_t first, int64_t vectors);
  void fetchScales();
  void addLine(Value line, int64_t first, int64_t vectors,
               SmallVectorImpl<Value> &sums);
  void addVectors(Value line, int64_t first, int64_t vectors,
                  function_ref<Value &(int64_t row, int64_t vector)> sumOf);
  int64_t linesAtOnce() const;
  SmallVector<Value> addLines(int64_t from, int64_t to, int64_t first,
                              int64_t vectors, SmallVector<Value> sums);
  SmallVector<Value> sumGroup(int64_t first, int64_t vectors);
  void addTo(SmallVectorImpl<Value> &acc, int64_t first, int64_t vectors,
             ValueRange sums);
};
} // namespace

GroupTile::GroupTile(TileBuilder &tile, Value group)
    : GroupLines(tile, group),
      record(QuantisedRecord::of(e.target, tile.family.format)),
      dot(byteDotOf(e.target, tile.family.format)) {
  element = e.add(tile.aOffset, e.mul(group, record.elements * tile.rows));
}

/// The bytes of quad 0 or 1 of a line as products take them.
SmallVector<Value> GroupTile::operands(Value bytes, int64_t quad) {
  Value integers = unpack(bytes, quad);
  if (layout.isTable() && !productBias(e.target, layout))
    return {integers}; // looked up with their signs
  return emitWeightQuads(e, dot, integers, largestInteger(layout));
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

/// What is fetched beside a line, behind the products of one row and quad with
/// vectors from `first` on: of each panel that starts among them.
void GroupTile::fetchBehind(int64_t slot, Value line, int64_t first,
                            int64_t vectors) {
  for (int64_t v = first; v < first + vectors; ++v)
    if (laneOf(v) == 0 && tile.fetchesBehind(slot, slots(), panelOf(v)))
      fetchLine(panelOf(v), line);
}

void GroupTile::fetchScales() {
  for (int64_t panel = 0; panel < tile.panels; ++panel)
    for (int64_t i = 0; i < fetchedScales(); ++i)
      fetchLine(panel, e.index(layout.groupLines + i));
}

/// Adds the products of a line of `vectors` vectors from `first` on. With 16
/// registers panel by panel, lest LLVM load all before the first product.
void GroupTile::addLine(Value line, int64_t first, int64_t vectors,
                        SmallVectorImpl<Value> &sums) {
  int64_t each = tile.vectorsPerPanel();
  if (e.target.registers >= 32 || vectors <= each)
    each = vectors;
  for (int64_t at = 0; at < vectors; at += each)
    addVectors(line, first + at, each, [&](int64_t r, int64_t v) -> Value & {
      return sums[r * vectors + at + v];
    });
}

/// The part of addLine that stands together.
void GroupTile::addVectors(Value line, int64_t first, int64_t vectors,
                           function_ref<Value &(int64_t, int64_t)> sumOf) {
  SmallVector<Value> raw;
  for (int64_t v = first; v < first + vectors; ++v)
    raw.push_back(loadLine(v, line));
  int64_t each = quadElements(dot);
  for (int64_t q = 0; q < quads(); ++q) {
    SmallVector<SmallVector<Value>> weights;
    for (Value vector : raw)
      weights.push_back(operands(vector, q));
    for (int64_t r = 0; r < tile.rows; ++r) {
      SmallVector<Value> row;
      for (int64_t i = 0; i < each; ++i)
        row.push_back(
            loadRow(r, e.add(e.mul(line, quads() * each), q * each + i)));
      for (int64_t v = 0; v < vectors; ++v) {
        Value &sum = sumOf(r, v);
        sum = emitDotQuads(e, dot, sum, row, weights[v]);
      }
      fetchBehind(q * tile.rows + r, line, first, vectors);
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
  assert((to - from) % each == 0 && "lines are left over");
  auto addSome = [&](Value start, ValueRange before) {
    SmallVector<Value> next(before);
    for (int64_t i = 0; i < each; ++i)
      addLine(e.add(start, i), first, vectors, next);
    return next;
  };
  if (each == to - from)
    return addSome(e.index(from), sums);
  return e.loop(e.index(from), e.index(to), each, sums, addSome);
}

/// The sums of the group; narrow ones end within 16 bits.
SmallVector<Value> GroupTile::sumGroup(int64_t first, int64_t vectors) {
  SmallVector<Value> sums = startSums(vectors);
  sums = addLines(0, layout.groupLines, first, vectors, sums);
  if (dot == ByteDot::Narrow)
    for (Value &sum : sums)
      sum = emitJoinNarrow(e, sum);
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

/// Of rows with one scale: sums of integers stay in registers over all of K, or
/// as many of them as fit beside a product's operands.
SmallVector<Value> TileBuilder::sumWholeRows() {
  Value groups = countGroups();
  GroupTile end(*this, groups);
  assert(end.dot != ByteDot::Narrow && "sums of all K end in 32 bits");
  int64_t n = vectors();
  int64_t together = end.dot == ByteDot::Pairs ? vectorsAtOnce() : n;
  auto addGroup = [&](Value group, ValueRange before) {
    GroupTile tile(*this, group);
    tile.prefetchBesideLines(tile.slots());
    SmallVector<Value> sums(before);
    for (int64_t first = 0; first < n; first += together) {
      SmallVector<Value> part;
      for (int64_t r = 0; r < rows; ++r)
        llvm::append_range(
            part, ArrayRef<Value>(sums).slice(r * n + first, together));
      part = tile.addLines(0, tile.layout.groupLines, first, together, part);
      for (int64_t i = 0; i < rows * together; ++i)
        sums[i / together * n + first + i % together] = part[i];
    }
    return sums;
  };
  SmallVector<Value> sums =
      e.loop(e.index(0), groups, 1, end.startSums(n), addGroup);
  SmallVector<Value> acc(rows * n, e.splat(0.0));
  end.addTo(acc, 0, n, sums);
  return acc;
}

SmallVector<Value> TileBuilder::accumulateGroup(Value group,
                                                ValueRange carried) {
  GroupTile tile(*this, group);
  tile.prefetchBesideLines(tile.slots());
  SmallVector<Value> acc(carried);
  int64_t together = vectorsAtOnce();
  for (int64_t first = 0; first < vectors(); first += together) {
    SmallVector<Value> sums = tile.sumGroup(first, together);
    tile.addTo(acc, first, together, sums);
  }
  tile.fetchScales();
  return acc;
}
