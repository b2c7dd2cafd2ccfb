//===- Keys.cpp - Numbers that order as keys do ---------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Keys.h"

using namespace mlir;
using namespace moec::kernels;

Value moec::kernels::orderedBits(Emitter &e, Value key) {
  Type i32 = e.b.getI32Type();
  if (auto vector = dyn_cast<VectorType>(key.getType()))
    i32 = vector.clone(i32);
  key = e.addf(key, e.constant(key.getType(), 0.0)); // -0 becomes +0
  Value bits = arith::BitcastOp::create(e.b, e.loc, i32, key);
  Value sign = arith::ShRSIOp::create(e.b, e.loc, bits, e.integer(i32, 31));
  Value flip =
      arith::AndIOp::create(e.b, e.loc, sign, e.integer(i32, 0x7fffffff));
  Value ordered = arith::XOrIOp::create(e.b, e.loc, bits, flip);
  Value isNaN =
      arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::UNO, key, key);
  return e.select(isNaN, e.integer(i32, kNaNKey), ordered);
}
