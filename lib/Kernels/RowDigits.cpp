//===- RowDigits.cpp - Rows of f32 as digits of a byte --------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "RowDigits.h"

#include "QuantisedRows.h"

using namespace mlir;
using namespace moec::kernels;

/// Of a digit in its next place.
static constexpr double kBase = 254;

MemRefType RowDigits::typeOf(Emitter &e, int64_t rows, int64_t columns) {
  return MemRefType::get({rows, bytesOf(1, columns) / 4}, e.b.getI32Type());
}

void RowDigits::store(function_ref<Value(Value, int64_t)> load) const {
  VectorType lanes = e.vectorOf(e.b.getI32Type());
  Value zeros = e.integer(lanes, 0);
  Value largest =
      e.columns(columns, zeros,
                [&](Value column, int64_t count, ValueRange before) {
                  Value x = load(column, count);
                  return SmallVector<Value>{
                      emitLargestBits(e, x, before.front())};
                })
          .front();
  RowScale scale = emitRowScale(e, largest, /*fraction=*/1);

  auto bytes = VectorType::get({e.lanes}, e.b.getI8Type());
  auto words = VectorType::get({e.lanes / 4}, e.b.getI32Type());
  SmallVector<Value> sums(kDigits, zeros);
  sums = e.columns(
      columns, sums, [&](Value column, int64_t count, ValueRange before) {
        Value rest = e.mulf(load(column, count), scale.factor);
        SmallVector<Value> next;
        for (int64_t digit = 0; digit < kDigits; ++digit) {
          Value rounded = e.addf(rest, e.splat(kRounder));
          Value bits = arith::BitcastOp::create(e.b, e.loc, lanes, rounded);
          next.push_back(e.add(before[digit], bits));
          Value quad = vector::BitCastOp::create(
              e.b, e.loc, words,
              arith::TruncIOp::create(e.b, e.loc, bytes, bits));
          Value at = e.add(e.div(column, 4), digit * quads(columns));
          vector::StoreOp::create(e.b, e.loc, quad, memory,
                                  ValueRange{row, at});
          rest = e.mulf(e.subf(rest, e.subf(rounded, e.splat(kRounder))),
                        e.splat(kBase));
        }
        return next;
      });

  Type i32 = e.b.getI32Type();
  int64_t bias = takesSign(quadsOf(e.target), 255) ? 0 : kQuadBias;
  auto put = [&](Value value, int64_t at) {
    memref::StoreOp::create(e.b, e.loc, value, memory,
                            ValueRange{row, e.index(at)});
  };
  for (auto [digit, sum] : llvm::enumerate(sums)) {
    // Modulo 2^32 the rounders leave the sum of the digits.
    Value total = vector::ReductionOp::create(e.b, e.loc,
                                              vector::CombiningKind::ADD, sum);
    total = e.sub(
        total, e.integer(i32, llvm::alignTo(columns, e.lanes) * kRounderBits));
    put(e.mul(total, e.integer(i32, -bias)), offsetAt(digit));
  }
  put(arith::BitcastOp::create(e.b, e.loc, i32, scale.scale),
      offsetAt(kDigits));
}

static Value loadWord(const RowDigits &digits, Value at) {
  Emitter &e = digits.e;
  return memref::LoadOp::create(e.b, e.loc, digits.memory,
                                ValueRange{digits.row, at});
}

Value RowDigits::scale() const {
  return arith::BitcastOp::create(e.b, e.loc, e.b.getF32Type(),
                                  loadWord(*this, e.index(offsetAt(kDigits))));
}

SmallVector<Value> RowDigits::load(Value quad) const {
  SmallVector<Value> result;
  for (int64_t digit = 0; digit < kDigits; ++digit)
    result.push_back(
        e.broadcast(loadWord(*this, e.add(quad, digit * quads(columns)))));
  return result;
}

SmallVector<Value> RowDigits::addQuads(ValueRange sums, ArrayRef<Value> quad,
                                       Value bytes) const {
  ByteDot dot = quadsOf(e.target);
  SmallVector<Value> factors = emitWeightQuads(e, dot, bytes, 255);
  SmallVector<Value> result;
  for (auto [sum, digits] : llvm::zip_equal(sums, quad))
    result.push_back(emitDotQuads(e, dot, sum, digits, factors));
  return result;
}

Value RowDigits::join(ValueRange sums) const {
  Value result;
  for (int64_t digit = kDigits - 1; digit >= 0; --digit) {
    Value offset = e.broadcast(loadWord(*this, e.index(offsetAt(digit))));
    Value sum = arith::SIToFPOp::create(e.b, e.loc, e.vectorType(),
                                        e.add(sums[digit], offset));
    result = result ? e.fma(result, e.splat(1 / kBase), sum) : sum;
  }
  return result;
}
