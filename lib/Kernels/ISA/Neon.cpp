//===- Neon.cpp - Products of AArch64 -------------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Neon.h"

using namespace mlir;
using namespace moec::kernels;

static constexpr int64_t kRegisterBits = 128;

static VectorType registerOf(Type element) {
  return VectorType::get({kRegisterBits / element.getIntOrFloatBitWidth()},
                         element);
}

static Value slice(Emitter &e, Value vector, int64_t first, int64_t count) {
  return vector::ExtractStridedSliceOp::create(
      e.b, e.loc, vector, ArrayRef<int64_t>{first}, ArrayRef<int64_t>{count},
      ArrayRef<int64_t>{1});
}

/// Runs `body` on each register of the operands (vectors of 32-bit lanes) and
/// puts its results (lanes of the first operand's type) together.
static Value
eachRegister(Emitter &e, ValueRange operands,
             llvm::function_ref<Value(ArrayRef<Value> parts)> body) {
  int64_t each = registerOf(e.b.getI32Type()).getNumElements();
  Value result = arith::ConstantOp::create(
      e.b, e.loc, e.b.getZeroAttr(operands[0].getType()));
  for (int64_t first = 0; first < e.lanes; first += each) {
    SmallVector<Value> parts;
    for (Value operand : operands)
      parts.push_back(slice(e, operand, first, each));
    result = vector::InsertStridedSliceOp::create(
        e.b, e.loc, body(parts), result, ArrayRef<int64_t>{first},
        ArrayRef<int64_t>{1});
  }
  return result;
}

/// One register as lanes of another type.
static Value lanesAs(Emitter &e, Type element, Value value) {
  return vector::BitCastOp::create(e.b, e.loc, registerOf(element), value);
}

Value moec::kernels::emitNeonQuads(Emitter &e, Value acc, Value a, Value w,
                                   bool isSigned) {
  StringRef name = isSigned ? "llvm.aarch64.neon.sdot.v4i32.v16i8"
                            : "llvm.aarch64.neon.usdot.v4i32.v16i8";
  Type i8 = e.b.getI8Type();
  return eachRegister(e, {acc, a, w}, [&](ArrayRef<Value> parts) {
    return e.callIntrinsic(
        name, parts[0].getType(),
        {parts[0], lanesAs(e, i8, parts[2]), lanesAs(e, i8, parts[1])});
  });
}

Value moec::kernels::emitNeonOddPairs(Emitter &e, Value acc, Value a, Value w) {
  Type bf16 = e.b.getBF16Type();
  Value weights =
      vector::BitCastOp::create(e.b, e.loc, cast<VectorType>(a.getType()), w);
  return eachRegister(e, {acc, a, weights}, [&](ArrayRef<Value> parts) {
    return e.callIntrinsic(
        "llvm.aarch64.neon.bfdot.v4f32.v8bf16", parts[0].getType(),
        {parts[0], lanesAs(e, bf16, parts[2]), lanesAs(e, bf16, parts[1])});
  });
}

Value moec::kernels::emitNeonOddBlock(Emitter &e, Value acc, Value a, Value w) {
  Type bf16 = e.b.getBF16Type();
  return e.callIntrinsic("llvm.aarch64.neon.bfmmla", acc.getType(),
                         {acc, lanesAs(e, bf16, a), lanesAs(e, bf16, w)});
}

/// Products of the signed `element`s of two registers, neighbours added, in
/// twice the width.
static Value addProducts(Emitter &e, Type element, Type wide, Value a,
                         Value w) {
  StringRef mul = element.isInteger(8) ? "llvm.aarch64.neon.smull.v8i16"
                                       : "llvm.aarch64.neon.smull.v4i32";
  StringRef add = element.isInteger(8) ? "llvm.aarch64.neon.addp.v8i16"
                                       : "llvm.aarch64.neon.addp.v4i32";
  VectorType type = registerOf(wide);
  int64_t half = type.getNumElements();
  Value x = lanesAs(e, element, a), y = lanesAs(e, element, w);
  auto products = [&](int64_t first) {
    return e.callIntrinsic(
        mul, type, {slice(e, x, first, half), slice(e, y, first, half)});
  };
  return e.callIntrinsic(add, type, {products(0), products(half)});
}

Value moec::kernels::emitNeonPairs(Emitter &e, Value a, Value w) {
  return eachRegister(e, {a, w}, [&](ArrayRef<Value> parts) {
    return addProducts(e, e.b.getI16Type(), e.b.getI32Type(), parts[0],
                       parts[1]);
  });
}

Value moec::kernels::emitNeonNarrow(Emitter &e, Value a, Value w) {
  Type i16 = e.b.getI16Type();
  Value sums = eachRegister(e, {a, w}, [&](ArrayRef<Value> parts) {
    return lanesAs(e, e.b.getI32Type(),
                   addProducts(e, e.b.getI8Type(), i16, parts[0], parts[1]));
  });
  return vector::BitCastOp::create(e.b, e.loc,
                                   VectorType::get({2 * e.lanes}, i16), sums);
}

Value moec::kernels::emitNeonJoinNarrow(Emitter &e, Value narrow) {
  return eachRegister(e, {narrow}, [&](ArrayRef<Value> parts) {
    return e.callIntrinsic("llvm.aarch64.neon.saddlp.v4i32.v8i16",
                           parts[0].getType(),
                           {lanesAs(e, e.b.getI16Type(), parts[0])});
  });
}

Value moec::kernels::emitNeonLookUp(Emitter &e, Value bytes,
                                    ArrayRef<int8_t> table) {
  Type i8 = e.b.getI8Type();
  Value codes = arith::ConstantOp::create(
      e.b, e.loc, DenseElementsAttr::get(registerOf(i8), table));
  return eachRegister(e, {bytes}, [&](ArrayRef<Value> parts) {
    Value found =
        e.callIntrinsic("llvm.aarch64.neon.tbl1.v16i8", registerOf(i8),
                        {codes, lanesAs(e, i8, parts[0])});
    return lanesAs(e, e.b.getI32Type(), found);
  });
}
