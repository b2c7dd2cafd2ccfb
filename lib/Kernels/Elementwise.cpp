//===- Elementwise.cpp - exp and its relatives, expanded ------------------===//
//
// Part of moe-mlir. Polynomials are Taylor or minimax series on the reduced
// range; the reductions are Cody and Waite's (Software Manual for the
// Elementary Functions, 1980, chapters 6 and 8).
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace moec::kernels;

static Value compare(Emitter &e, arith::CmpFPredicate predicate, Value a,
                     Value c) {
  return arith::CmpFOp::create(e.b, e.loc, predicate, a, c);
}

static Type integerLike(Emitter &e, Type type, unsigned width) {
  Type element = e.b.getIntegerType(width);
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.clone(element);
  return element;
}

/// Horner's rule with fused multiply-adds; highest coefficient first.
static Value polynomial(Emitter &e, Value x, ArrayRef<double> coefficients) {
  Value result = e.constant(x.getType(), coefficients.front());
  for (double c : coefficients.drop_front())
    result = e.fma(result, x, e.constant(x.getType(), c));
  return result;
}

/// The least x of which exp(x) is a normal number.
static constexpr double kLeastExponent = -87.33654;

static constexpr double kLog2E = 1.44269504088896341;

/// exp(x) / 2^n, for the integer n nearest to x / log 2: in (0.7, 1.42).
static Value emitExpFraction(Emitter &e, Value x, Value n) {
  auto number = [&](double v) { return e.constant(x.getType(), v); };
  Value r = e.fma(n, number(-0.693359375), x);
  r = e.fma(n, number(2.12194440054690583e-4), r);
  Value p = polynomial(e, r,
                       {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                        4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1});
  return e.addf(e.fma(p, e.mulf(r, r), r), number(1.0));
}

Value moec::kernels::emitExp(Emitter &e, Value x) {
  Type type = x.getType(), i32 = integerLike(e, type, 32);
  auto number = [&](double v) { return e.constant(type, v); };
  constexpr double kLow = kLeastExponent, kHigh = 88.72283;
  // Clamp the argument of the reduction; the true ends are selected below.
  Value clamped = e.select(
      compare(e, arith::CmpFPredicate::OLT, x, number(kLow)), number(kLow), x);
  clamped =
      e.select(compare(e, arith::CmpFPredicate::OGT, clamped, number(kHigh)),
               number(kHigh), clamped);
  Value n = math::RoundEvenOp::create(e.b, e.loc,
                                      e.mulf(clamped, number(kLog2E)));
  Value p = emitExpFraction(e, clamped, n);
  // 2^n in two factors, since n reaches 128.
  Value ni = arith::FPToSIOp::create(e.b, e.loc, i32, n);
  Value half = arith::ShRSIOp::create(e.b, e.loc, ni, e.integer(i32, 1));
  Value rest = arith::SubIOp::create(e.b, e.loc, ni, half);
  auto power = [&](Value k) -> Value {
    Value biased = arith::AddIOp::create(e.b, e.loc, k, e.integer(i32, 127));
    Value bits = arith::ShLIOp::create(e.b, e.loc, biased, e.integer(i32, 23));
    return arith::BitcastOp::create(e.b, e.loc, type, bits);
  };
  Value y = e.mulf(e.mulf(p, power(half)), power(rest));
  y = e.select(compare(e, arith::CmpFPredicate::OLT, x, number(kLow)),
               number(0.0), y);
  y = e.select(compare(e, arith::CmpFPredicate::OGT, x, number(kHigh)),
               number(std::numeric_limits<float>::infinity()), y);
  return e.select(compare(e, arith::CmpFPredicate::UNO, x, x), x, y);
}

Value moec::kernels::emitExpNonPositive(Emitter &e, Value x) {
  Type type = x.getType(), i32 = integerLike(e, type, 32);
  auto number = [&](double v) { return e.constant(type, v); };
  Value isLow =
      compare(e, arith::CmpFPredicate::OLT, x, number(kLeastExponent));
  Value clamped = e.select(isLow, number(kLeastExponent), x);
  // A sum with 1.5 * 2^23 is rounded to an integer, which its low bits are.
  Value shifted = e.fma(clamped, number(kLog2E), number(12582912));
  Value n = e.subf(shifted, number(12582912));
  Value p = emitExpFraction(e, clamped, n);
  // n is at least -126; a NaN is still in p.
  Value biased = arith::AddIOp::create(
      e.b, e.loc, arith::BitcastOp::create(e.b, e.loc, i32, shifted),
      e.integer(i32, 127));
  Value bits = arith::ShLIOp::create(e.b, e.loc, biased, e.integer(i32, 23));
  Value power = arith::BitcastOp::create(e.b, e.loc, type, bits);
  return e.select(isLow, number(0.0), e.mulf(p, power));
}

Value moec::kernels::emitLog(Emitter &e, Value x) {
  Type type = x.getType(), i32 = integerLike(e, type, 32);
  auto number = [&](double v) { return e.constant(type, v); };
  // x = m * 2^k with m in [sqrt(1/2), sqrt(2)).
  Value bits = arith::BitcastOp::create(e.b, e.loc, i32, x);
  Value shifted =
      arith::SubIOp::create(e.b, e.loc, bits, e.integer(i32, 0x3f3504f3));
  Value k = arith::ShRSIOp::create(e.b, e.loc, shifted, e.integer(i32, 23));
  Value kBits = arith::ShLIOp::create(e.b, e.loc, k, e.integer(i32, 23));
  Value m = arith::BitcastOp::create(
      e.b, e.loc, type, arith::SubIOp::create(e.b, e.loc, bits, kBits));
  Value kf = arith::SIToFPOp::create(e.b, e.loc, type, k);
  // log m = 2 artanh(s), s = (m - 1) / (m + 1).
  Value f = e.subf(m, number(1.0));
  Value s = e.divf(f, e.addf(m, number(1.0)));
  Value s2 = e.mulf(s, s);
  Value p = polynomial(e, s2, {2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3});
  Value y = e.fma(e.mulf(p, s2), s, e.addf(s, s));
  y = e.fma(kf, number(2.12194440054690583e-4 * -1), y);
  return e.fma(kf, number(0.693359375), y);
}

Value moec::kernels::emitLog1p(Emitter &e, Value x) {
  // What rounding 1 + x loses is put back by the factor x / ((1 + x) - 1)
  // (Kahan; Higham, Accuracy and Stability, section 1.14.1).
  Value one = e.constant(x.getType(), 1.0);
  Value sum = e.addf(x, one), kept = e.subf(sum, one);
  Value isLost =
      compare(e, arith::CmpFPredicate::OEQ, kept, e.constant(x.getType(), 0.0));
  Value safe = e.select(isLost, one, kept);
  return e.select(isLost, x, e.mulf(emitLog(e, sum), e.divf(x, safe)));
}

static Value emitSigmoid(Emitter &e, Value x) {
  Value one = e.constant(x.getType(), 1.0);
  Value negative = arith::NegFOp::create(e.b, e.loc, x);
  return e.divf(one, e.addf(one, emitExp(e, negative)));
}

/// 0.5 * x * (1 + tanh(y)) = x * sigmoid(2 y).
static Value emitGELUTanh(Emitter &e, Value x) {
  auto number = [&](double v) { return e.constant(x.getType(), v); };
  Value x2 = e.mulf(x, x);
  Value inner = e.fma(e.mulf(x2, x), number(0.044715), x);
  return e.mulf(x, emitSigmoid(e, e.mulf(inner, number(1.5957691216057308))));
}

/// x * Phi(x), with erfc by the Chebyshev fit of Numerical Recipes (1992),
/// section 6.2: relative error 1.2e-7 everywhere.
static Value emitGELU(Emitter &e, Value x) {
  auto number = [&](double v) { return e.constant(x.getType(), v); };
  Value z =
      math::AbsFOp::create(e.b, e.loc, e.mulf(x, number(0.70710678118654752)));
  Value t = e.divf(number(1.0), e.fma(z, number(0.5), number(1.0)));
  Value p = polynomial(e, t,
                       {0.17087277, -0.82215223, 1.48851587, -1.13520398,
                        0.27886807, -0.18628806, 0.09678418, 0.37409196,
                        1.00002368, -1.26551223});
  Value z2 = e.mulf(z, z);
  Value tail = e.mulf(t, emitExp(e, e.subf(p, z2))); // erfc(z)
  Value half = e.mulf(tail, number(0.5));
  Value phi = e.select(compare(e, arith::CmpFPredicate::OLT, x, number(0.0)),
                       half, e.subf(number(1.0), half));
  return e.mulf(x, phi);
}

Value moec::kernels::emitActivation(Emitter &e, lm::Activation function,
                                    Value x) {
  switch (function) {
  case lm::Activation::SiLU: {
    Value one = e.constant(x.getType(), 1.0);
    Value negative = arith::NegFOp::create(e.b, e.loc, x);
    return e.divf(x, e.addf(one, emitExp(e, negative)));
  }
  case lm::Activation::GELU:
    return emitGELU(e, x);
  case lm::Activation::GELUTanh:
    return emitGELUTanh(e, x);
  case lm::Activation::ReLU:
    return e.select(
        compare(e, arith::CmpFPredicate::OLT, x, e.constant(x.getType(), 0.0)),
        e.constant(x.getType(), 0.0), x);
  case lm::Activation::Sigmoid:
    return emitSigmoid(e, x);
  }
  llvm_unreachable("unknown activation");
}

std::pair<Value, Value> moec::kernels::emitSinCos(Emitter &e, Value x) {
  Type type = x.getType(), i64 = integerLike(e, type, 64);
  auto number = [&](double v) { return e.constant(type, v); };
  // x = n * pi/2 + r, |r| <= pi/4; pi/2 in two parts.
  Value n = math::RoundEvenOp::create(
      e.b, e.loc, e.mulf(x, number(0.63661977236758134308)));
  Value r = e.fma(n, number(-1.5707963267948966), x);
  r = e.fma(n, number(-6.123233995736766e-17), r);
  Value r2 = e.mulf(r, r);
  Value sine =
      polynomial(e, r2,
                 {-1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800,
                  1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6});
  sine = e.fma(e.mulf(sine, r2), r, r);
  Value cosine =
      polynomial(e, r2,
                 {1.0 / 20922789888000, -1.0 / 87178291200, 1.0 / 479001600,
                  -1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24, -0.5});
  cosine = e.fma(cosine, r2, number(1.0));
  // Quadrant n mod 4, from the low bits of n + 1.5 * 2^52.
  Value shifted = e.addf(n, number(6755399441055744.0));
  Value bits = arith::BitcastOp::create(e.b, e.loc, i64, shifted);
  auto bit = [&](Value value, int64_t mask) -> Value {
    Value masked =
        arith::AndIOp::create(e.b, e.loc, value, e.integer(i64, mask));
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ne, masked,
                                 e.integer(i64, 0));
  };
  Value next = arith::AddIOp::create(e.b, e.loc, bits, e.integer(i64, 1));
  Value swap = bit(bits, 1);
  Value s = e.select(swap, cosine, sine), c = e.select(swap, sine, cosine);
  auto negated = [&](Value v) -> Value {
    return arith::NegFOp::create(e.b, e.loc, v);
  };
  s = e.select(bit(bits, 2), negated(s), s);
  c = e.select(bit(next, 2), negated(c), c);
  return {s, c};
}

Value moec::kernels::emitClip(Emitter &e, Value v, double limit) {
  Value most = e.constant(v.getType(), limit);
  Value least = e.constant(v.getType(), -limit);
  v = e.select(compare(e, arith::CmpFPredicate::OGT, v, most), most, v);
  return e.select(compare(e, arith::CmpFPredicate::OLT, v, least), least, v);
}

//===----------------------------------------------------------------------===//
// f64 scalars
//===----------------------------------------------------------------------===//

static constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// ln 2 in two parts; the first has 32 trailing zeros, so that its product
/// with an exponent is exact (fdlibm, e_exp.c).
static constexpr double kLn2High = 6.93147180369123816490e-01,
                        kLn2Low = 1.90821492927058770002e-10;

Value moec::kernels::emitExp64(Emitter &e, Value x) {
  Type type = x.getType(), i64 = integerLike(e, type, 64);
  auto number = [&](double v) { return e.constant(type, v); };
  constexpr double kLow = -746, kHigh = 710;
  Value isLow = compare(e, arith::CmpFPredicate::OLT, x, number(kLow));
  Value isHigh = compare(e, arith::CmpFPredicate::OGT, x, number(kHigh));
  Value isNaN = compare(e, arith::CmpFPredicate::UNO, x, x);
  Value y = e.select(isLow, number(kLow), x);
  y = e.select(isHigh, number(kHigh), y);
  y = e.select(isNaN, number(0), y);
  Value n = math::RoundEvenOp::create(e.b, e.loc,
                                      e.mulf(y, number(1.44269504088896341)));
  Value r = e.fma(n, number(-kLn2High), y);
  r = e.fma(n, number(-kLn2Low), r);
  // Taylor: |r| <= ln(2) / 2, and the next term is below 2^-57.
  Value p = polynomial(e, r,
                       {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800,
                        1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                        1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1});
  // 2^n in two factors, since n reaches from -1076 to 1024.
  Value ni = arith::FPToSIOp::create(e.b, e.loc, i64, n);
  Value half = arith::ShRSIOp::create(e.b, e.loc, ni, e.integer(i64, 1));
  Value rest = arith::SubIOp::create(e.b, e.loc, ni, half);
  auto power = [&](Value k) -> Value {
    Value biased = arith::AddIOp::create(e.b, e.loc, k, e.integer(i64, 1023));
    Value bits = arith::ShLIOp::create(e.b, e.loc, biased, e.integer(i64, 52));
    return arith::BitcastOp::create(e.b, e.loc, type, bits);
  };
  y = e.mulf(e.mulf(p, power(half)), power(rest));
  y = e.select(isLow, number(0), y);
  y = e.select(isHigh, number(kInfinity), y);
  return e.select(isNaN, x, y);
}

Value moec::kernels::emitLog64(Emitter &e, Value x) {
  Type type = x.getType(), i64 = integerLike(e, type, 64);
  auto number = [&](double v) { return e.constant(type, v); };
  // Denormal numbers are lifted to normal ones.
  Value isTiny = compare(e, arith::CmpFPredicate::OLT, x,
                         number(std::numeric_limits<double>::min()));
  Value lifted = e.select(isTiny, e.mulf(x, number(0x1p54)), x);
  // lifted = m * 2^k with m in [sqrt(1/2), sqrt(2)).
  Value bits = arith::BitcastOp::create(e.b, e.loc, i64, lifted);
  Value shifted = arith::SubIOp::create(e.b, e.loc, bits,
                                        e.integer(i64, 0x3fe6a09e667f3bcd));
  Value k = arith::ShRSIOp::create(e.b, e.loc, shifted, e.integer(i64, 52));
  Value kBits = arith::ShLIOp::create(e.b, e.loc, k, e.integer(i64, 52));
  Value m = arith::BitcastOp::create(
      e.b, e.loc, type, arith::SubIOp::create(e.b, e.loc, bits, kBits));
  Value kf = arith::SIToFPOp::create(e.b, e.loc, type, k);
  kf = e.select(isTiny, e.subf(kf, number(54)), kf);
  // log m = 2 artanh(s), s = (m - 1) / (m + 1); s^2 < 0.0295.
  Value s = e.divf(e.subf(m, number(1)), e.addf(m, number(1)));
  Value s2 = e.mulf(s, s);
  Value p =
      polynomial(e, s2,
                 {2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13,
                  2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3});
  Value y = e.fma(e.mulf(p, s2), s, e.addf(s, s));
  y = e.fma(kf, number(kLn2High), e.fma(kf, number(kLn2Low), y));
  y = e.select(compare(e, arith::CmpFPredicate::OEQ, x, number(0)),
               number(-kInfinity), y);
  // inf and NaN are their own logarithms.
  return e.select(compare(e, arith::CmpFPredicate::ULT, x, number(kInfinity)),
                  e.select(compare(e, arith::CmpFPredicate::UNO, x, x), x, y),
                  x);
}

Value moec::kernels::emitPow64(Emitter &e, Value x, double p) {
  return emitExp64(e, e.mulf(emitLog64(e, x), e.constant(x.getType(), p)));
}
