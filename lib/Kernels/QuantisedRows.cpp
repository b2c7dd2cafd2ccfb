//===- QuantisedRows.cpp - Rows as products with integers read them -------===//
//
// Part of moe-mlir. Of 32 consecutive columns, or of all: scale max|x| / 127,
// integers nearest to x * (127 / max|x|), ties to even. Nothing outside of the
// row and group enters (docs/numerics.md).
//
//===----------------------------------------------------------------------===//

#include "QuantisedRows.h"

#include <limits>

using namespace mlir;
using namespace moec::kernels;
using lm::kGroup;
using lm::QuantisedLayout;

int64_t moec::kernels::productBias(const Target &target,
                                   const QuantisedLayout &layout) {
  int64_t largest = largestInteger(layout);
  if (takesSign(byteDotOf(target, largest), largest))
    return 0;
  return layout.isTable() ? -*llvm::min_element(layout.table) : layout.bias;
}

int64_t moec::kernels::largestInteger(const QuantisedLayout &layout) {
  if (layout.isTable())
    return *llvm::max_element(layout.table) - *llvm::min_element(layout.table);
  return layout.isNibbles() ? 15 : 255;
}

ByteDot moec::kernels::byteDotOf(const Target &target, lm::Format format) {
  return byteDotOf(target, largestInteger(QuantisedLayout::of(format)));
}

QuantisedRecord QuantisedRecord::of(const Target &target, lm::Format format) {
  int64_t quads = kGroup / 4 * quadElements(byteDotOf(target, format));
  if (QuantisedLayout::of(format).spansRow())
    return {quads, quads, 0};
  return {quads, quads + 2, quads};
}

namespace {
/// One group of one row, or all of them.
struct SpanQuantiser {
  Emitter &e;
  lm::Format format;
  Value packed, start, lane, rows; // start: of the records at hand
  bool inTiles;
  Value factor, scale; // what x is multiplied by; of integers

  void put(int64_t element, Value value) {
    if (value.getType().isF32())
      value = arith::BitcastOp::create(e.b, e.loc, e.b.getI32Type(), value);
    int64_t quads = QuantisedRecord::of(e.target, format).quads;
    Value at = inTiles && element < quads ? e.add(e.mul(lane, quads), element)
                                          : e.add(e.mul(rows, element), lane);
    memref::StoreOp::create(e.b, e.loc, value, packed,
                            ValueRange{e.add(start, at)});
  }
  QuantisedLayout layout() const { return QuantisedLayout::of(format); }
  void findScale(Value largest) {
    RowScale found = emitRowScale(e, largest, layout().fraction);
    factor = found.factor;
    scale = found.scale;
  }
  Value storeIntegers(ArrayRef<Value> x);
  Value addLanes(Value sum, int64_t rounders);
  Value addHalves(Value sum, int64_t columns);
  void storeScale(Value sum, int64_t columns, int64_t element);
};
} // namespace

Value moec::kernels::emitLargestBits(Emitter &e, ArrayRef<Value> x,
                                     Value most) {
  Type i32 = e.vectorOf(e.b.getI32Type());
  for (Value part : x) {
    Value bits = arith::BitcastOp::create(e.b, e.loc, i32, part);
    bits = arith::AndIOp::create(e.b, e.loc, bits, e.integer(i32, 0x7fffffff));
    most = most ? Value(arith::MaxUIOp::create(e.b, e.loc, most, bits)) : bits;
  }
  return most;
}

RowScale moec::kernels::emitRowScale(Emitter &e, Value largest,
                                     int64_t fraction) {
  Type f32 = e.b.getF32Type(), i32 = e.b.getI32Type();
  Value bits = vector::ReductionOp::create(
      e.b, e.loc, vector::CombiningKind::MAXUI, largest);
  auto isBelow = [&](int64_t limit) -> Value {
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, bits,
                                 e.integer(i32, limit));
  };
  Value isFinite = isBelow(0x7f800000);
  Value isZero = isBelow(0x0d800000); // 2^-100
  Value most = arith::BitcastOp::create(e.b, e.loc, f32, bits);
  Value none = e.f32(0);
  // Of what is not finite only the scale matters: it is NaN.
  Value isUsable = e.select(isZero, e.integer(e.b.getI1Type(), 0), isFinite);
  RowScale result;
  result.factor =
      e.broadcast(e.select(isUsable, e.divf(e.f32(127), most), none));
  result.scale = e.divf(most, e.f32(127 * fraction));
  result.scale = e.select(isZero, none, result.scale);
  result.scale = e.select(isFinite, result.scale,
                          e.f32(std::numeric_limits<double>::quiet_NaN()));
  return result;
}

/// Stores a group's integers; their sum by lanes, a rounder with each.
Value SpanQuantiser::storeIntegers(ArrayRef<Value> x) {
  Type lanes = e.vectorOf(e.b.getI32Type());
  Value sum;
  SmallVector<Value> integers;
  for (Value part : x) {
    Value q = e.addf(e.mulf(part, factor), e.splat(kRounder));
    q = arith::BitcastOp::create(e.b, e.loc, lanes, q);
    integers.push_back(q);
    sum = sum ? e.add(sum, q) : q;
  }
  int64_t element = 0;
  for (Value part : integers)
    for (Value quad : emitRowQuads(e, byteDotOf(e.target, format), part))
      put(element++, quad);
  return sum;
}

/// The sum of lanes, less what `rounders` rounders add, modulo 2^32.
Value SpanQuantiser::addLanes(Value sum, int64_t rounders) {
  sum =
      vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::ADD, sum);
  return e.sub(sum, e.integer(e.b.getI32Type(), rounders * kRounderBits));
}

/// The sum of those that count in the low halves of narrow sums, and 2^16 times
/// that of the others.
Value SpanQuantiser::addHalves(Value sum, int64_t columns) {
  SmallVector<int32_t> bits;
  for (int64_t lane = 0; lane < e.lanes; ++lane)
    bits.push_back(isInHighHalf(lane) ? 16 : 0);
  Value up = arith::ConstantOp::create(
      e.b, e.loc,
      DenseElementsAttr::get(cast<ShapedType>(sum.getType()),
                             ArrayRef<int32_t>(bits)));
  sum = arith::ShLIOp::create(e.b, e.loc, sum, up);
  // 2^16 times a rounder is 0 modulo 2^32.
  static_assert(kRounderBits % 0x10000 == 0);
  return addLanes(sum, columns / 2);
}

/// low + 2^16 * high (each of 16 bits with sign) as two halves: a negative low
/// one took 1 from the other.
static Value withoutBorrow(Emitter &e, Value sum) {
  Value sign =
      arith::AndIOp::create(e.b, e.loc, sum, e.integer(sum.getType(), 0x8000));
  return e.add(sum, e.add(sign, sign));
}

/// Stores the scale, at `element` of the record, and what the integers' sum
/// adds to products.
void SpanQuantiser::storeScale(Value sum, int64_t columns, int64_t element) {
  Type f32 = e.b.getF32Type(), i32 = e.b.getI32Type();
  put(element, scale);
  if (layout().hasMinimum()) {
    sum = arith::SIToFPOp::create(e.b, e.loc, f32, addLanes(sum, columns));
    return put(element + 1, e.mulf(scale, sum));
  }
  bool isNarrow = byteDotOf(e.target, format) == ByteDot::Narrow;
  assert((!isNarrow || endsInHalf(productBias(e.target, layout()))) &&
         "the offset takes more than its half");
  sum = isNarrow ? addHalves(sum, columns) : addLanes(sum, columns);
  Value offset = e.mul(sum, e.integer(i32, -productBias(e.target, layout())));
  put(element + 1, isNarrow ? withoutBorrow(e, offset) : offset);
}

namespace {
/// One row.
struct RowQuantiser {
  Emitter &e;
  lm::Format format;
  Value x, source, next;
  int64_t columns, groups;
  Value packed, offset, lane, rows; // offset: of the first record
  bool inTiles;

  QuantisedRecord record() const {
    return QuantisedRecord::of(e.target, format);
  }
  int64_t wholeGroups() const { return columns / kGroup; }
  int64_t columnsOf(int64_t group) const {
    return std::clamp<int64_t>(columns - group * kGroup, 0, kGroup);
  }
  SmallVector<Value> load(Value group, int64_t count);
  void fetchNext(Value group, int64_t count);
  SpanQuantiser at(Value group) {
    int64_t elements = record().elements;
    Value start = e.add(offset, e.mul(group, e.mul(rows, elements)));
    return {e, format, packed, start, lane, rows, inTiles, {}, {}};
  }
  void quantiseGroup(Value group, int64_t count);
  void quantiseGroups();
  Value overGroups(function_ref<Value(Value, int64_t, Value)> body);
  void quantiseWhole();
};
} // namespace

/// Fetches the lines of a group's columns in the next row.
void RowQuantiser::fetchNext(Value group, int64_t count) {
  Type element = cast<MemRefType>(x.getType()).getElementType();
  int64_t perLine = 64 * 8 / element.getIntOrFloatBitWidth();
  for (int64_t i = 0; i < count; i += perLine)
    memref::PrefetchOp::create(
        e.b, e.loc, x, ValueRange{next, e.add(e.mul(group, kGroup), i)},
        /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
}

SmallVector<Value> RowQuantiser::load(Value group, int64_t count) {
  SmallVector<Value> parts;
  for (int64_t i = 0; i < kGroup; i += e.lanes) {
    int64_t here = std::clamp<int64_t>(count - i, 0, e.lanes);
    Value column = e.add(e.mul(group, kGroup), i);
    parts.push_back(here ? e.load(x, {source, column}, here) : e.splat(0));
  }
  return parts;
}

void RowQuantiser::quantiseGroup(Value group, int64_t count) {
  SmallVector<Value> parts = load(group, count);
  fetchNext(group, count);
  SpanQuantiser span = at(group);
  span.findScale(emitLargestBits(e, parts, {}));
  span.storeScale(span.storeIntegers(parts), kGroup, record().scaleAt());
}

void RowQuantiser::quantiseGroups() {
  e.loop(e.index(0), e.index(wholeGroups()), 1,
         [&](Value group) { quantiseGroup(group, kGroup); });
  for (int64_t group = wholeGroups(); group < groups; ++group)
    quantiseGroup(e.index(group), columnsOf(group));
}

/// What `body` makes of all groups' columns, starting with zeros.
Value RowQuantiser::overGroups(
    function_ref<Value(Value, int64_t, Value)> body) {
  Value zeros = e.integer(e.vectorOf(e.b.getI32Type()), 0);
  auto step = [&](Value group, ValueRange before) -> SmallVector<Value> {
    return {body(group, kGroup, before.front())};
  };
  Value result =
      e.loop(e.index(0), e.index(wholeGroups()), 1, zeros, step).front();
  for (int64_t group = wholeGroups(); group < groups; ++group)
    result = body(e.index(group), columnsOf(group), result);
  return result;
}

/// Reads the row twice: one scale serves all groups.
void RowQuantiser::quantiseWhole() {
  SpanQuantiser span = at(e.index(groups));
  Value end = span.start;
  span.findScale(
      overGroups([&](Value group, int64_t count, Value before) -> Value {
        return emitLargestBits(e, load(group, count), before);
      }));
  Value sum =
      overGroups([&](Value group, int64_t count, Value before) -> Value {
        fetchNext(group, count);
        span.start = at(group).start;
        return e.add(before, span.storeIntegers(load(group, count)));
      });
  span.start = end;
  span.storeScale(sum, groups * kGroup, record().scaleAt());
}

void moec::kernels::emitQuantisedRow(Emitter &e, lm::Format format, Value x,
                                     Value source, Value next, int64_t columns,
                                     int64_t groups, Value packed, Value offset,
                                     Value lane, Value rows, bool inTiles) {
  RowQuantiser row{e,      format, x,      source, next, columns,
                   groups, packed, offset, lane,   rows, inTiles};
  if (QuantisedLayout::of(format).spansRow())
    row.quantiseWhole();
  else
    row.quantiseGroups();
}
