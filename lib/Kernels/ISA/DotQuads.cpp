//===- DotQuads.cpp - Integer dot product of four bytes, summed -----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "DotQuads.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace moec::kernels;

int64_t moec::kernels::quadElements(const Target &target) {
  return target.dotQuads ? 1 : 2;
}

static Value lanesAs(Emitter &e, Type element, Value value) {
  int64_t count = e.lanes * 32 / element.getIntOrFloatBitWidth();
  return vector::BitCastOp::create(e.b, e.loc,
                                   VectorType::get({count}, element), value);
}

static Value callIntrinsic(Emitter &e, StringRef name, Type result,
                           ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(e.b, e.loc, result,
                                       e.b.getStringAttr(name), operands)
      .getResult(0);
}

static Value shiftRight(Emitter &e, Value lanes, int64_t bits) {
  return bits ? Value(arith::ShRUIOp::create(e.b, e.loc, lanes,
                                             e.integer(lanes.getType(), bits)))
              : lanes;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

SmallVector<Value> moec::kernels::emitRowQuads(Emitter &e, Value integers) {
  int64_t lanes = cast<VectorType>(integers.getType()).getDimSize(0);
  int64_t elements = lanes / 4 * quadElements(e.target);
  Type narrow = e.b.getIntegerType(e.target.dotQuads ? 8 : 16);
  Value v = arith::TruncIOp::create(e.b, e.loc,
                                    VectorType::get({lanes}, narrow), integers);
  if (!e.target.dotQuads) {
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

SmallVector<Value> moec::kernels::emitWeightQuads(Emitter &e, Value bytes) {
  if (e.target.dotQuads)
    return {bytes};
  Value mask = e.integer(bytes.getType(), 0x00ff00ff);
  return {arith::AndIOp::create(e.b, e.loc, bytes, mask),
          arith::AndIOp::create(e.b, e.loc, shiftRight(e, bytes, 8), mask)};
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

static Value nativeQuads(Emitter &e, Value acc, Value a, Value w) {
  StringRef name = e.lanes == 16 ? "llvm.x86.avx512.vpdpbusd.512"
                                 : "llvm.x86.avx512.vpdpbusd.256";
  Type i8 = e.b.getI8Type();
  return callIntrinsic(e, name, acc.getType(),
                       {acc, lanesAs(e, i8, w), lanesAs(e, i8, a)});
}

static Value nativePairs(Emitter &e, Value acc, Value a, Value w) {
  StringRef name =
      e.lanes == 16 ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd";
  Type i16 = e.b.getI16Type();
  return e.add(acc, callIntrinsic(e, name, acc.getType(),
                                  {lanesAs(e, i16, w), lanesAs(e, i16, a)}));
}

/// Products of the parts of `bits` bits, one after the other.
static Value genericParts(Emitter &e, Value acc, Value a, Value w,
                          int64_t bits) {
  Type type = acc.getType();
  for (int64_t at = 0; at < 32; at += bits) {
    Value high = e.integer(type, 32 - bits);
    Value x =
        arith::ShLIOp::create(e.b, e.loc, a, e.integer(type, 32 - bits - at));
    x = arith::ShRSIOp::create(e.b, e.loc, x, high);
    Value y = arith::AndIOp::create(e.b, e.loc, shiftRight(e, w, at),
                                    e.integer(type, (1 << bits) - 1));
    acc = e.add(acc, e.mul(x, y));
  }
  return acc;
}

Value moec::kernels::emitDotQuads(Emitter &e, Value acc, ValueRange a,
                                  ValueRange w) {
  for (auto [x, y] : llvm::zip(a, w)) {
    if (e.target.emulate)
      acc = genericParts(e, acc, x, y, e.target.dotQuads ? 8 : 16);
    else
      acc = e.target.dotQuads ? nativeQuads(e, acc, x, y)
                              : nativePairs(e, acc, x, y);
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
                 callIntrinsic(e, name, type, {tables, codes}));
}
