//===- DotPairs.cpp - Dot product of pairs of bf16, accumulated -----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "DotPairs.h"
#include "Neon.h"

using namespace mlir;
using namespace moec::kernels;

static Value emitNative(Emitter &e, Value acc, Value a, Value w) {
  if (e.target.isAArch64())
    return emitNeonOddPairs(e, acc, a, w);
  Value pairs =
      vector::BitCastOp::create(e.b, e.loc, cast<VectorType>(w.getType()), a);
  std::string name = e.lanes == 16 ? "llvm.x86.avx512bf16.dpbf16ps.512"
                                   : "llvm.x86.avx512bf16.dpbf16ps.256";
  return e.callIntrinsic(name, acc.getType(), {acc, pairs, w});
}

Value moec::kernels::emitFlushed(Emitter &e, Value x) {
  Type i32 = e.vectorOf(e.b.getI32Type());
  Value bits = arith::BitcastOp::create(e.b, e.loc, i32, x);
  Value exponent =
      arith::AndIOp::create(e.b, e.loc, bits, e.integer(i32, 0x7f800000));
  Value sign =
      arith::AndIOp::create(e.b, e.loc, bits, e.integer(i32, 0x80000000));
  Value isSmall = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq,
                                        exponent, e.integer(i32, 0));
  Value flushed = arith::SelectOp::create(e.b, e.loc, isSmall, sign, bits);
  return arith::BitcastOp::create(e.b, e.loc, e.vectorType(), flushed);
}

Value moec::kernels::emitFlushedHalf(Emitter &e, Value pairs, bool odd) {
  Type i32 = pairs.getType();
  Value bits =
      odd ? Value(arith::AndIOp::create(e.b, e.loc, pairs,
                                        e.integer(i32, 0xffff0000)))
          : Value(arith::ShLIOp::create(e.b, e.loc, pairs, e.integer(i32, 16)));
  return emitFlushed(
      e, arith::BitcastOp::create(e.b, e.loc, e.vectorType(), bits));
}

static Value emitGeneric(Emitter &e, Value acc, Value a, Value w) {
  VectorType i32 = e.vectorOf(e.b.getI32Type());
  Value weights = vector::BitCastOp::create(e.b, e.loc, i32, w);
  acc = emitFlushed(e, acc);
  for (bool odd : {true, false})
    acc = emitFlushed(e, e.fma(emitFlushedHalf(e, a, odd),
                               emitFlushedHalf(e, weights, odd), acc));
  return acc;
}

//===----------------------------------------------------------------------===//
// Rounding to odd
//===----------------------------------------------------------------------===//

/// x + y of f32 lanes: `nearest`, rounded to nearest even, and what it lacks to
/// the exact sum (Knuth's TwoSum), where no step overflows.
static std::pair<Value, Value> emitTwoSum(Emitter &e, Value x, Value y) {
  Value nearest = e.addf(x, y);
  Value ofY = e.subf(nearest, x), ofX = e.subf(nearest, ofY);
  return {nearest, e.addf(e.subf(x, ofX), e.subf(y, ofY))};
}

/// The odd one of the two numbers next to nearest + error: if `nearest` is
/// even, its neighbour on the error's side.
static Value emitOddOf(Emitter &e, Value nearest, Value error) {
  Type i32 = e.vectorOf(e.b.getI32Type());
  Value zero = e.integer(i32, 0), one = e.integer(i32, 1);
  auto bitsOf = [&](Value x) -> Value {
    return arith::BitcastOp::create(e.b, e.loc, i32, x);
  };
  Value bits = bitsOf(nearest);
  // Ordered: the error of infinity and of NaN is NaN.
  Value isInexact = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::ONE,
                                          error, e.splat(0.0));
  Value isEven = e.equal(arith::AndIOp::create(e.b, e.loc, bits, one), zero);
  Value signs = arith::XOrIOp::create(e.b, e.loc, bits, bitsOf(error));
  Value away = arith::ShRSIOp::create(e.b, e.loc, signs, e.integer(i32, 31));
  Value step = arith::OrIOp::create(e.b, e.loc, away, one); // 1 or -1
  Value moves = arith::AndIOp::create(e.b, e.loc, isInexact, isEven);
  bits = e.add(bits, e.select(moves, step, zero));
  return arith::BitcastOp::create(e.b, e.loc, e.vectorType(), bits);
}

/// x + y of f32 lanes without denormals, rounded to odd, denormals flushed.
static Value emitOddSum(Emitter &e, Value x, Value y) {
  Type i32 = e.vectorOf(e.b.getI32Type());
  // Near the largest numbers TwoSum overflows. So where one is 2 or more, both
  // are halved: what the other can lose then is below every digit of the sum.
  Value either = arith::OrIOp::create(
      e.b, e.loc, arith::BitcastOp::create(e.b, e.loc, i32, x),
      arith::BitcastOp::create(e.b, e.loc, i32, y));
  Value first =
      arith::AndIOp::create(e.b, e.loc, either, e.integer(i32, 0x40000000));
  Value isSmall = e.equal(first, e.integer(i32, 0));
  Value down = e.select(isSmall, e.splat(1.0), e.splat(0.5));
  Value up = e.select(isSmall, e.splat(1.0), e.splat(2.0));
  auto [nearest, error] = emitTwoSum(e, e.mulf(x, down), e.mulf(y, down));
  return emitFlushed(e, e.mulf(emitOddOf(e, nearest, error), up));
}

static Value emitGenericOdd(Emitter &e, Value acc, Value a, Value w) {
  VectorType i32 = e.vectorOf(e.b.getI32Type());
  Value weights = vector::BitCastOp::create(e.b, e.loc, i32, w);
  // A product has 16 bits: it is exact, but for denormals, and these are lost.
  auto product = [&](bool odd) {
    return emitFlushed(e, e.mulf(emitFlushedHalf(e, a, odd),
                                 emitFlushedHalf(e, weights, odd)));
  };
  Value pair = emitOddSum(e, product(false), product(true));
  return emitOddSum(e, emitFlushed(e, acc), pair);
}

Value moec::kernels::emitDotPairs(Emitter &e, Value acc, Value a, Value w) {
  if (!e.target.emulate)
    return emitNative(e, acc, a, w);
  return e.target.recipe == Recipe::OddPairs ? emitGenericOdd(e, acc, a, w)
                                             : emitGeneric(e, acc, a, w);
}
