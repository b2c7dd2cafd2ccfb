//===- QuantisedRows.cpp - Rows as products with integers read them -------===//
//
// Part of moe-mlir. Of 32 consecutive columns: scale max|x| / 127, integers
// nearest to x * (127 / max|x|), ties to even. Nothing outside of the row and
// group enters (docs/numerics.md).
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
  return layout.isTable ? lm::kDoubledE2M1[7] : layout.bias;
}

int64_t moec::kernels::largestInteger(const QuantisedLayout &layout) {
  return layout.isTable       ? 2 * lm::kDoubledE2M1[7]
         : layout.isNibbles() ? 15
                              : 255;
}

ByteDot moec::kernels::byteDotOf(const Target &target, lm::Format format) {
  return byteDotOf(target, largestInteger(QuantisedLayout::of(format)));
}

QuantisedRecord QuantisedRecord::of(const Target &target, lm::Format format) {
  int64_t quads = kGroup / 4 * quadElements(byteDotOf(target, format));
  return {quads, quads + 2};
}

namespace {
/// 1.5 * 2^23: a sum with it has an integer in its low bits, rounded.
constexpr double kRounder = 12582912;
constexpr int64_t kRounderBits = 0x4b400000;

/// One group of one row.
struct GroupQuantiser {
  Emitter &e;
  lm::Format format;
  Value packed, start, lane, rows; // start: of the group's records
  bool inTiles;

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
  Value largestBits(ArrayRef<Value> x);
  void store(ArrayRef<Value> x);
};
} // namespace

/// The largest magnitude as bits, among which infinity and NaN come last.
Value GroupQuantiser::largestBits(ArrayRef<Value> x) {
  Type i32 = e.vectorOf(e.b.getI32Type());
  Value most;
  for (Value part : x) {
    Value bits = arith::BitcastOp::create(e.b, e.loc, i32, part);
    bits = arith::AndIOp::create(e.b, e.loc, bits, e.integer(i32, 0x7fffffff));
    most = most ? Value(arith::MaxUIOp::create(e.b, e.loc, most, bits)) : bits;
  }
  return vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::MAXUI,
                                     most);
}

void GroupQuantiser::store(ArrayRef<Value> x) {
  Type f32 = e.b.getF32Type(), i32 = e.b.getI32Type();
  Type lanes = e.vectorOf(i32);
  Value bits = largestBits(x);
  auto isBelow = [&](int64_t limit) -> Value {
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, bits,
                                 e.integer(i32, limit));
  };
  Value isFinite = isBelow(0x7f800000);
  Value isZero = isBelow(0x0d800000); // 2^-100
  Value most = arith::BitcastOp::create(e.b, e.loc, f32, bits);
  Value none = e.f32(0);
  // Of a group that is not finite only the scale matters: it is NaN.
  Value isUsable = e.select(isZero, e.integer(e.b.getI1Type(), 0), isFinite);
  Value factor =
      e.broadcast(e.select(isUsable, e.divf(e.f32(127), most), none));
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
  // Modulo 2^32 the rounders leave the sum of the integers.
  sum =
      vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::ADD, sum);
  sum = e.sub(sum, e.integer(i32, kGroup * kRounderBits));
  // Codes of a table are twice their values.
  Value scale = e.divf(most, e.f32(layout().isTable ? 254 : 127));
  scale = e.select(isZero, none, scale);
  scale = e.select(isFinite, scale,
                   e.f32(std::numeric_limits<double>::quiet_NaN()));
  put(element++, scale);
  if (layout().hasMinimum())
    put(element, e.mulf(scale, arith::SIToFPOp::create(e.b, e.loc, f32, sum)));
  else
    put(element, e.mul(sum, e.integer(i32, -productBias(e.target, layout()))));
}

void moec::kernels::emitQuantisedRow(Emitter &e, lm::Format format, Value x,
                                     Value source, int64_t columns,
                                     int64_t groups, Value packed, Value offset,
                                     Value lane, Value rows, bool inTiles) {
  QuantisedRecord record = QuantisedRecord::of(e.target, format);
  auto quantise = [&](Value group, int64_t count) {
    SmallVector<Value> parts;
    for (int64_t i = 0; i < kGroup; i += e.lanes) {
      int64_t here = std::clamp<int64_t>(count - i, 0, e.lanes);
      Value column = e.add(e.mul(group, kGroup), i);
      parts.push_back(here ? e.load(x, {source, column}, here) : e.splat(0));
    }
    Value start = e.add(offset, e.mul(group, e.mul(rows, record.elements)));
    GroupQuantiser{e, format, packed, start, lane, rows, inTiles}.store(parts);
  };
  int64_t whole = columns / kGroup;
  e.loop(e.index(0), e.index(whole), 1,
         [&](Value group) { quantise(group, kGroup); });
  for (int64_t group = whole; group < groups; ++group)
    quantise(e.index(group),
             std::clamp<int64_t>(columns - group * kGroup, 0, kGroup));
}
