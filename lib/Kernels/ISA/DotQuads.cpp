//===- DotQuads.cpp - Integer dot product of four bytes, summed -----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "DotQuads.h"
#include "Neon.h"

using namespace mlir;
using namespace moec::kernels;

bool moec::kernels::endsInHalf(int64_t magnitude) {
  return 127 * 16 * magnitude <= 32767;
}

/// Whether a group's sums may be narrow: they end in 16 bits where a bias is
/// taken back (about half of `largest`) and where there is none (up to 15);
/// modulo 2^16 only the end matters. And no product saturates.
static bool fitsNarrow(int64_t largest) {
  return endsInHalf(std::max<int64_t>(15, (largest + 1) / 2)) &&
         2 * 127 * largest <= 32767;
}

ByteDot moec::kernels::byteDotOf(const Target &target, int64_t largest) {
  if (target.dotQuads)
    return ByteDot::Quads;
  if (target.signedQuads)
    return ByteDot::SignedQuads;
  return fitsNarrow(largest) ? ByteDot::Narrow : ByteDot::Pairs;
}

/// The same register as lanes of another width.
static Value lanesAs(Emitter &e, Type element, Value value) {
  int64_t count = e.lanes * 32 / element.getIntOrFloatBitWidth();
  return vector::BitCastOp::create(e.b, e.loc,
                                   VectorType::get({count}, element), value);
}

static Value shiftRight(Emitter &e, Value lanes, int64_t bits) {
  return bits ? Value(arith::ShRUIOp::create(e.b, e.loc, lanes,
                                             e.integer(lanes.getType(), bits)))
              : lanes;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

SmallVector<Value> moec::kernels::emitRowQuads(Emitter &e, ByteDot dot,
                                               Value integers) {
  int64_t lanes = cast<VectorType>(integers.getType()).getDimSize(0);
  int64_t elements = lanes / 4 * quadElements(dot);
  bool inPairs = dot == ByteDot::Pairs;
  auto narrow = VectorType::get({lanes}, e.b.getIntegerType(inPairs ? 16 : 8));
  Value v = arith::TruncIOp::create(e.b, e.loc, narrow, integers);
  if (inPairs) {
    SmallVector<int64_t> order;
    for (int64_t quad = 0; quad < lanes; quad += 4)
      order.append({quad, quad + 2, quad + 1, quad + 3});
    v = vector::ShuffleOp::create(e.b, e.loc, v, v, order);
  }
  v = vector::BitCastOp::create(
      e.b, e.loc, VectorType::get({elements}, e.b.getI32Type()), v);
  SmallVector<Value> result;
  for (int64_t i = 0; i < elements; ++i)
    result.push_back(
        vector::ExtractOp::create(e.b, e.loc, v, ArrayRef<int64_t>{i}));
  return result;
}

SmallVector<Value> moec::kernels::emitWeightQuads(Emitter &e, ByteDot dot,
                                                  Value bytes,
                                                  int64_t largest) {
  if (takesSign(dot, largest)) {
    Value signs = e.integer(bytes.getType(), 0x80808080);
    return {arith::XOrIOp::create(e.b, e.loc, bytes, signs)};
  }
  if (dot != ByteDot::Pairs)
    return {bytes};
  Value mask = e.integer(bytes.getType(), 0x00ff00ff);
  return {arith::AndIOp::create(e.b, e.loc, bytes, mask),
          arith::AndIOp::create(e.b, e.loc, shiftRight(e, bytes, 8), mask)};
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

static Value nativeQuads(Emitter &e, ByteDot dot, Value acc, Value a, Value w) {
  if (e.target.isAArch64())
    return emitNeonQuads(e, acc, a, w, dot == ByteDot::SignedQuads);
  StringRef name = e.lanes == 16 ? "llvm.x86.avx512.vpdpbusd.512"
                                 : "llvm.x86.avx512.vpdpbusd.256";
  Type i8 = e.b.getI8Type();
  return e.callIntrinsic(name, acc.getType(),
                         {acc, lanesAs(e, i8, w), lanesAs(e, i8, a)});
}

/// VPMADDWD: pairs of 16 bits with sign.
static Value nativePairs(Emitter &e, Value a, Value w) {
  if (e.target.isAArch64())
    return emitNeonPairs(e, a, w);
  StringRef name =
      e.lanes == 16 ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd";
  Type i16 = e.b.getI16Type();
  return e.callIntrinsic(name, e.vectorOf(e.b.getI32Type()),
                         {lanesAs(e, i16, w), lanesAs(e, i16, a)});
}

/// VPMADDUBSW: of each half the products of its bytes.
static Value nativeNarrow(Emitter &e, Value a, Value w) {
  if (e.target.isAArch64())
    return emitNeonNarrow(e, a, w);
  StringRef name = e.lanes == 16 ? "llvm.x86.avx512.pmaddubs.w.512"
                                 : "llvm.x86.avx2.pmadd.ub.sw";
  Type i8 = e.b.getI8Type();
  auto halves = VectorType::get({2 * e.lanes}, e.b.getI16Type());
  return e.callIntrinsic(name, halves, {lanesAs(e, i8, w), lanesAs(e, i8, a)});
}

/// Sum over the parts of `bits` bits of each lane of signed a times w, which
/// has a sign or not.
static Value genericParts(Emitter &e, Value a, Value w, int64_t bits,
                          bool isSigned = false) {
  Type type = a.getType();
  int64_t width = cast<VectorType>(type).getElementTypeBitWidth();
  auto signedPart = [&](Value lanes, int64_t at) -> Value {
    Value up = arith::ShLIOp::create(e.b, e.loc, lanes,
                                     e.integer(type, width - bits - at));
    return arith::ShRSIOp::create(e.b, e.loc, up,
                                  e.integer(type, width - bits));
  };
  auto unsignedPart = [&](Value lanes, int64_t at) -> Value {
    return arith::AndIOp::create(e.b, e.loc, shiftRight(e, lanes, at),
                                 e.integer(type, (1 << bits) - 1));
  };
  Value sum = e.integer(type, 0);
  for (int64_t at = 0; at < width; at += bits) {
    Value y = isSigned ? signedPart(w, at) : unsignedPart(w, at);
    sum = e.add(sum, e.mul(signedPart(a, at), y));
  }
  return sum;
}

static Value emitNarrow(Emitter &e, Value acc, Value a, Value w) {
  Type i16 = e.b.getI16Type();
  Value sum = e.target.emulate
                  ? genericParts(e, lanesAs(e, i16, a), lanesAs(e, i16, w), 8)
                  : nativeNarrow(e, a, w);
  return lanesAs(e, e.b.getI32Type(), e.add(lanesAs(e, i16, acc), sum));
}

Value moec::kernels::emitJoinNarrow(Emitter &e, Value narrow) {
  if (e.target.isAArch64() && !e.target.emulate)
    return emitNeonJoinNarrow(e, narrow);
  Value ones = e.integer(narrow.getType(), 0x00010001);
  // The ones have no sign to lose: either factor may be the signed one.
  return e.target.emulate ? genericParts(e, narrow, ones, 16)
                          : nativePairs(e, narrow, ones);
}

Value moec::kernels::emitDotQuads(Emitter &e, ByteDot dot, Value acc,
                                  ValueRange a, ValueRange w) {
  for (auto [x, y] : llvm::zip(a, w)) {
    if (dot == ByteDot::Narrow)
      acc = emitNarrow(e, acc, x, y);
    else if (e.target.emulate)
      acc = e.add(acc, genericParts(e, x, y, dot == ByteDot::Pairs ? 16 : 8,
                                    dot == ByteDot::SignedQuads));
    else
      acc = dot == ByteDot::Pairs ? e.add(acc, nativePairs(e, x, y))
                                  : nativeQuads(e, dot, acc, x, y);
  }
  return acc;
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

static Value genericLookUp(Emitter &e, Value bytes, ArrayRef<int8_t> table) {
  Value codes = lanesAs(e, e.b.getI8Type(), bytes);
  Value result = e.integer(codes.getType(), table.front());
  for (auto [code, value] : llvm::enumerate(table.drop_front()))
    result = e.select(e.equal(codes, e.integer(codes.getType(), code + 1)),
                      e.integer(codes.getType(), value), result);
  return lanesAs(e, e.b.getI32Type(), result);
}

Value moec::kernels::emitLookUp(Emitter &e, Value bytes,
                                ArrayRef<int8_t> table) {
  if (e.target.emulate)
    return genericLookUp(e, bytes, table);
  if (e.target.isAArch64())
    return emitNeonLookUp(e, bytes, table);
  StringRef name =
      e.lanes == 16 ? "llvm.x86.avx512.pshuf.b.512" : "llvm.x86.avx2.pshuf.b";
  // The instruction looks up within 16 bytes: the table stands in each.
  SmallVector<int8_t> all;
  while (int64_t(all.size()) < 4 * e.lanes)
    llvm::append_range(all, table);
  auto type = VectorType::get({4 * e.lanes}, e.b.getI8Type());
  Value tables = arith::ConstantOp::create(
      e.b, e.loc, DenseElementsAttr::get(type, ArrayRef<int8_t>(all)));
  Value codes = lanesAs(e, e.b.getI8Type(), bytes);
  return lanesAs(e, e.b.getI32Type(),
                 e.callIntrinsic(name, type, {tables, codes}));
}
