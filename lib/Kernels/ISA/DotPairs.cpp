//===- DotPairs.cpp - Dot product of pairs of bf16, accumulated -----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "DotPairs.h"

using namespace mlir;
using namespace moec::kernels;

static Value emitNative(Emitter &e, Value acc, Value a, Value w) {
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

Value moec::kernels::emitDotPairs(Emitter &e, Value acc, Value a, Value w) {
  return e.target.emulate ? emitGeneric(e, acc, a, w)
                          : emitNative(e, acc, a, w);
}
