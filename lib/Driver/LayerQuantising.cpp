//===- LayerQuantising.cpp - Quantising weights as generated code ---------===//
//
// Part of moe-mlir. See dialects/LM/IR/WeightFormat.cpp, which it follows step
// by step.
//
//===----------------------------------------------------------------------===//

#include "LayerQuantising.h"

using namespace mlir;
using namespace moec;
using kernels::Emitter;
using lm::Format;
using lm::kGroup;
using lm::QuantisedLayout;

namespace {
class GroupPacker {
public:
  GroupPacker(Emitter &e, Format format, ArrayRef<Value> values, Value largest)
      : e(e), format(format), layout(QuantisedLayout::of(format)),
        values(values), i32(e.b.getI32Type()), lanes(e.vectorOf(i32)),
        most(largest) {}

  void run(Value lane, Value number, Value panel);

private:
  void findScale();
  void findFloatScale();
  Value findInt4NLScale(Value extreme);
  Value countAbove(Value x, ArrayRef<double> steps);
  Value int4NLCode(Value value);
  Value treeSum(SmallVector<Value> parts);
  SmallVector<Value> codes();
  SmallVector<Value> integers(double low, double high);
  Value tableCode(Value value);
  void storeCodes(ArrayRef<Value> codes, Value firstLine, Value lane,
                  Value panel);
  void storeScale(Value bits, Value line, Value byte, Value panel);

  Value bitsOf(Value value) {
    Type type = isa<VectorType>(value.getType()) ? lanes : i32;
    return arith::BitcastOp::create(e.b, e.loc, type, value);
  }
  Value asFloat(Value bits) {
    return arith::BitcastOp::create(e.b, e.loc, e.b.getF32Type(), bits);
  }
  Value isLess(Value a, Value b) { // unsigned
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, a, b);
  }
  Value compare(arith::CmpFPredicate predicate, Value a, double b) {
    return arith::CmpFOp::create(e.b, e.loc, predicate, a,
                                 e.constant(a.getType(), b));
  }
  /// The largest of all values, or the smallest with its sign turned.
  Value largest(bool negated);
  Value roundedToHalf(Value value) {
    return e.widen(e.narrow(value, e.b.getF16Type()));
  }
  Value halfBits(Value value) {
    Value half = e.narrow(value, e.b.getF16Type());
    return arith::BitcastOp::create(e.b, e.loc, e.b.getI16Type(), half);
  }

  Emitter &e;
  Format format;
  QuantisedLayout layout;
  ArrayRef<Value> values;
  Type i32, lanes;
  Value most, isFinite;        // bits of the largest magnitude
  Value scale, minimum;        // f32, as rounded; of E8M0 2^-exponent
  Value stored, storedMinimum; // i32 or i16; i16
};
} // namespace

Value GroupPacker::largest(bool negated) {
  Value result;
  for (Value part : values) {
    Value v = negated ? e.subf(e.splat(0), part) : part;
    result = result ? e.maxf(result, v) : v;
  }
  return e.reduceMax(result);
}

void GroupPacker::findScale() {
  if (!most)
    most = emitLargest(e, values, {});
  most = vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::MAXUI,
                                     most);
  isFinite = isLess(most, e.integer(i32, 0x7f800000));
  if (layout.scaleBytes > 1)
    return findFloatScale();
  Value exponent = arith::ShRUIOp::create(e.b, e.loc, most, e.integer(i32, 23));
  exponent = e.max(e.sub(exponent, e.integer(i32, 2)), e.integer(i32, 1));
  Value inverse = e.sub(e.integer(i32, 254), exponent);
  scale =
      asFloat(arith::ShLIOp::create(e.b, e.loc, inverse, e.integer(i32, 23)));
  Value zero = e.integer(i32, 0);
  stored = e.select(e.equal(most, zero), zero, exponent);
  stored = e.select(isFinite, stored, e.integer(i32, 255));
}

void GroupPacker::findFloatScale() {
  Value wide;
  minimum = e.f32(0);
  if (format == Format::Int8 || format == Format::Int8Channel) {
    wide = e.divf(asFloat(most), e.f32(127));
  } else {
    Value high = largest(false), low = e.subf(e.f32(0), largest(true));
    if (format == Format::Int4Min) {
      minimum = e.addf(low, e.f32(0));
      wide = e.divf(e.subf(high, low), e.f32(15));
    } else {
      Value isLow = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OGE,
                                          e.subf(e.f32(0), low), high);
      Value extreme = e.select(isLow, low, high);
      wide = format == Format::Int4NL
                 ? e.mulf(findInt4NLScale(extreme), extreme)
                 : e.divf(extreme, e.f32(-8));
    }
  }
  // Zeros have neither; what is not finite has no minimum, and the scale NaN.
  Value isZero = e.equal(most, e.integer(i32, 0));
  wide = e.select(isZero, e.f32(0), wide);
  minimum = e.select(isFinite, minimum, e.f32(0));
  if (layout.scaleBytes == 4) {
    scale = wide;
    stored = e.select(isFinite, bitsOf(wide), e.integer(i32, 0x7fc00000));
    return;
  }
  scale = roundedToHalf(wide);
  Type i16 = e.b.getI16Type();
  stored = e.select(isFinite, halfBits(wide), e.integer(i16, 0x7e00));
  storedMinimum = halfBits(minimum);
  minimum = roundedToHalf(minimum);
}

/// The sum by a tree of halves.
Value GroupPacker::treeSum(SmallVector<Value> parts) {
  for (size_t half = parts.size() / 2; half; half /= 2)
    for (size_t i = 0; i < half; ++i)
      parts[i] = e.addf(parts[i], parts[i + half]);
  return e.reduceAdd(parts.front());
}

/// Of each lane the first step, and what each number of the table that is
/// reached adds to it: x is nearest to the last, or of two to the lower.
Value GroupPacker::countAbove(Value x, ArrayRef<double> steps) {
  Value sum = e.splat(steps.front());
  for (int i = 0; i < 15; ++i) {
    double limit = (lm::kInt4NL[i] + lm::kInt4NL[i + 1]) * 0.5;
    Value isAbove = compare(arith::CmpFPredicate::OGT, x, limit);
    sum = e.addf(sum, e.select(isAbove, e.splat(steps[i + 1]), e.splat(0)));
  }
  return sum;
}

/// The scale of least squared error over the extreme value.
Value GroupPacker::findInt4NLScale(Value extreme) {
  lm::ScaleSearch search;
  SmallVector<double> steps = {double(lm::kInt4NL[0])};
  for (int i = 0; i < 15; ++i)
    steps.push_back(lm::kInt4NL[i + 1] - lm::kInt4NL[i]);
  SmallVector<Value> shares = llvm::map_to_vector(values, [&](Value part) {
    return Value(e.divf(part, e.broadcast(extreme)));
  });
  auto attempt = [&](Value target, ValueRange before) {
    SmallVector<Value> products, squares;
    for (Value share : shares) {
      Value q = countAbove(e.mulf(share, e.broadcast(target)), steps);
      products.push_back(e.mulf(q, share));
      squares.push_back(e.mulf(q, q));
    }
    Value sum = treeSum(products), found = e.divf(sum, treeSum(squares));
    Value gain = e.mulf(sum, found);
    Value isMore = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OGT,
                                         gain, before[0]);
    return SmallVector<Value>{e.select(isMore, gain, before[0]),
                              e.select(isMore, found, before[1])};
  };
  auto bothSigns = [&](Value size, ValueRange before) {
    Value target =
        arith::SIToFPOp::create(e.b, e.loc, e.b.getF32Type(), e.toI32(size));
    return attempt(e.subf(e.f32(0), target), attempt(target, before));
  };
  SmallVector<Value> none = {e.f32(0), e.f32(0)};
  return e.loop(e.index(search.first), e.index(search.last + 1), search.step,
                none, bothSigns)[1];
}

Value GroupPacker::int4NLCode(Value value) {
  SmallVector<double> steps(16, 1.0);
  steps.front() = 0;
  Value code = arith::FPToSIOp::create(
      e.b, e.loc, lanes, countAbove(e.divf(value, e.broadcast(scale)), steps));
  Value isZero = compare(arith::CmpFPredicate::OEQ, scale, 0);
  Value isNone = e.select(isFinite, isZero, e.integer(e.b.getI1Type(), 1));
  return e.select(isNone, e.integer(lanes, layout.bias), code);
}

/// The nearest integers within [low, high] of the values over the scale.
SmallVector<Value> GroupPacker::integers(double low, double high) {
  Value isZero = compare(arith::CmpFPredicate::OEQ, scale, 0);
  Value isNone = e.select(isFinite, isZero, e.integer(e.b.getI1Type(), 1));
  Value divisor = e.broadcast(scale), least = e.broadcast(minimum);
  SmallVector<Value> result;
  for (Value part : values) {
    Value q = e.divf(e.subf(part, least), divisor);
    q = e.select(compare(arith::CmpFPredicate::OLT, q, low), e.splat(low), q);
    q = e.select(compare(arith::CmpFPredicate::OGT, q, high), e.splat(high), q);
    // 1.5 * 2^23: the sum has the integer, rounded, in its low bits.
    Value n = e.sub(bitsOf(e.addf(q, e.splat(12582912))),
                    e.integer(lanes, 0x4b400000 - layout.bias));
    result.push_back(e.select(isNone, e.integer(lanes, layout.bias), n));
  }
  return result;
}

Value GroupPacker::tableCode(Value value) {
  Value bits = bitsOf(value);
  Value magnitude = arith::BitcastOp::create(
      e.b, e.loc, e.vectorType(),
      arith::AndIOp::create(e.b, e.loc, bits, e.integer(lanes, 0x7fffffff)));
  magnitude = e.mulf(magnitude, e.broadcast(scale));
  auto above = arith::CmpFPredicate::OGT, from = arith::CmpFPredicate::OGE;
  Value one = e.integer(lanes, 1), zero = e.integer(lanes, 0), code = zero;
  for (auto [predicate, limit] : {std::pair(above, 0.25),
                                  {from, 0.75},
                                  {above, 1.25},
                                  {from, 1.75},
                                  {above, 2.5},
                                  {from, 3.5},
                                  {above, 5.0}})
    code =
        e.add(code, e.select(compare(predicate, magnitude, limit), one, zero));
  Value sign = arith::ShRUIOp::create(e.b, e.loc, bits, e.integer(lanes, 31));
  sign = e.mul(sign, e.integer(lanes, 8));
  sign = e.select(e.equal(code, zero), zero, sign);
  return e.select(isFinite, e.add(code, sign), zero);
}

SmallVector<Value> GroupPacker::codes() {
  switch (format) {
  case Format::Int8:
  case Format::Int8Channel:
    return integers(-127, 127);
  case Format::Int4:
    return integers(-8, 7);
  case Format::Int4Min:
    return integers(0, 15);
  case Format::Int4NL:
    return llvm::map_to_vector(values,
                               [&](Value part) { return int4NLCode(part); });
  default:
    return llvm::map_to_vector(values,
                               [&](Value part) { return tableCode(part); });
  }
}

/// A quad of codes is four bytes of a line, or their low or high halves.
void GroupPacker::storeCodes(ArrayRef<Value> codes, Value firstLine, Value lane,
                             Value panel) {
  auto quadType = VectorType::get({4}, e.b.getI8Type());
  auto quad = [&](int64_t number) -> Value {
    int64_t at = 4 * number;
    Value part = vector::ExtractStridedSliceOp::create(
        e.b, e.loc, codes[at / e.lanes], ArrayRef<int64_t>{at % e.lanes},
        ArrayRef<int64_t>{4}, ArrayRef<int64_t>{1});
    return arith::TruncIOp::create(e.b, e.loc, quadType, part);
  };
  for (int64_t line = 0; line < layout.groupLines; ++line) {
    Value bytes = quad(layout.isNibbles() ? 2 * line : line);
    if (layout.isNibbles())
      bytes = arith::OrIOp::create(
          e.b, e.loc, bytes,
          arith::ShLIOp::create(e.b, e.loc, quad(2 * line + 1),
                                e.integer(quadType, 4)));
    vector::StoreOp::create(e.b, e.loc, bytes, panel,
                            ValueRange{e.add(firstLine, line), e.mul(lane, 4)});
  }
}

void GroupPacker::storeScale(Value bits, Value line, Value byte, Value panel) {
  Type i8 = e.b.getI8Type();
  Type narrow = VectorType::get({layout.scaleBytes}, i8);
  if (layout.scaleBytes == 1)
    bits = arith::TruncIOp::create(e.b, e.loc, i8, bits);
  Value whole = vector::BroadcastOp::create(
      e.b, e.loc, VectorType::get({1}, bits.getType()), bits);
  vector::StoreOp::create(e.b, e.loc,
                          vector::BitCastOp::create(e.b, e.loc, narrow, whole),
                          panel, ValueRange{line, byte});
}

void GroupPacker::run(Value lane, Value number, Value panel) {
  findScale();
  if (layout.spansRow()) {
    storeCodes(codes(), e.mul(number, layout.groupLines), lane, panel);
    int64_t lines = cast<MemRefType>(panel.getType()).getDimSize(0);
    storeScale(stored, e.index(layout.scaleLine(0, lines)),
               e.mul(lane, layout.scaleBytes), panel);
    return;
  }
  Value block = e.mul(e.div(number, layout.groups), layout.blockLines());
  Value inBlock = e.rem(number, e.index(layout.groups));
  Value line = e.add(block, e.mul(inBlock, layout.groupLines));
  storeCodes(codes(), e.add(line, layout.scaleLines), lane, panel);
  Value byte = e.mul(e.add(e.mul(inBlock, lm::PackedType::kLanes), lane),
                     layout.scaleBytes);
  storeScale(stored, block, byte, panel);
  if (layout.hasMinimum())
    storeScale(storedMinimum, e.add(block, 1), byte, panel);
}

void moec::emitQuantisedGroup(Emitter &e, Format format, ArrayRef<Value> values,
                              Value largest, Value lane, Value number,
                              Value panel) {
  GroupPacker(e, format, values, largest).run(lane, number, panel);
}

Value moec::emitLargest(Emitter &e, ArrayRef<Value> values, Value before) {
  Type lanes = e.vectorOf(e.b.getI32Type());
  for (Value part : values) {
    Value bits = arith::AndIOp::create(
        e.b, e.loc, arith::BitcastOp::create(e.b, e.loc, lanes, part),
        e.integer(lanes, 0x7fffffff));
    before =
        before ? Value(arith::MaxUIOp::create(e.b, e.loc, before, bits)) : bits;
  }
  return before;
}
