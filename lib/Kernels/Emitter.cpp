//===- Emitter.cpp - Short names for the IR that kernels are made of ------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace moec::kernels;

//===----------------------------------------------------------------------===//
// Constants and index arithmetic
//===----------------------------------------------------------------------===//

Value Emitter::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value Emitter::constant(Type type, double value) {
  auto vector = dyn_cast<VectorType>(type);
  auto element = cast<FloatType>(vector ? vector.getElementType() : type);
  TypedAttr attr = FloatAttr::get(element, value);
  if (vector)
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return arith::ConstantOp::create(b, loc, attr);
}

Value Emitter::integer(Type type, int64_t value) {
  auto vector = dyn_cast<VectorType>(type);
  auto element = cast<IntegerType>(vector ? vector.getElementType() : type);
  APInt bits(element.getWidth(), value, /*isSigned=*/true,
             /*implicitTrunc=*/true);
  TypedAttr attr = IntegerAttr::get(element, bits);
  if (vector)
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return arith::ConstantOp::create(b, loc, attr);
}

Value Emitter::add(Value a, Value c) {
  return b.createOrFold<arith::AddIOp>(loc, a, c);
}
Value Emitter::sub(Value a, Value c) {
  return b.createOrFold<arith::SubIOp>(loc, a, c);
}
Value Emitter::mul(Value a, Value c) {
  return b.createOrFold<arith::MulIOp>(loc, a, c);
}
Value Emitter::div(Value a, Value c) {
  return b.createOrFold<arith::DivUIOp>(loc, a, c);
}
Value Emitter::rem(Value a, Value c) {
  return b.createOrFold<arith::RemUIOp>(loc, a, c);
}
Value Emitter::ceilDiv(Value a, Value c) {
  return div(sub(add(a, c), index(1)), c);
}
Value Emitter::min(Value a, Value c) {
  return b.createOrFold<arith::MinSIOp>(loc, a, c);
}
Value Emitter::max(Value a, Value c) {
  return b.createOrFold<arith::MaxSIOp>(loc, a, c);
}
Value Emitter::less(Value a, Value c) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, a, c);
}
Value Emitter::lessEqual(Value a, Value c) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, a, c);
}
Value Emitter::equal(Value a, Value c) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, a, c);
}
Value Emitter::select(Value condition, Value a, Value c) {
  return arith::SelectOp::create(b, loc, condition, a, c);
}
Value Emitter::dim(Value memref, int64_t d) {
  return b.createOrFold<memref::DimOp>(loc, memref, d);
}
Value Emitter::toIndex(Value i32) {
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), i32);
}
Value Emitter::toI32(Value index) {
  return arith::IndexCastOp::create(b, loc, b.getI32Type(), index);
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

void Emitter::loop(Value lower, Value upper, int64_t step, Body body) {
  scf::ForOp::create(b, loc, lower, upper, index(step), ValueRange(),
                     [&](OpBuilder &inner, Location, Value iv, ValueRange) {
                       OpBuilder::InsertionGuard guard(b);
                       b.setInsertionPointToEnd(inner.getInsertionBlock());
                       body(iv);
                       scf::YieldOp::create(b, loc);
                     });
}

SmallVector<Value> Emitter::loop(Value lower, Value upper, int64_t step,
                                 ValueRange init, CarryBody body) {
  auto op = scf::ForOp::create(
      b, loc, lower, upper, index(step), init,
      [&](OpBuilder &inner, Location, Value iv, ValueRange carried) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(inner.getInsertionBlock());
        SmallVector<Value> next = body(iv, carried);
        scf::YieldOp::create(b, loc, next);
      });
  return SmallVector<Value>(op.getResults());
}

void Emitter::when(Value condition, function_ref<void()> then,
                   function_ref<void()> otherwise) {
  auto op = scf::IfOp::create(b, loc, condition, bool(otherwise));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  then();
  if (!otherwise)
    return;
  b.setInsertionPointToStart(op.elseBlock());
  otherwise();
}

std::pair<Value, Value> Emitter::share(Value count, Value slot, Value slots) {
  Value first = div(mul(count, slot), slots);
  Value last = div(mul(count, add(slot, 1)), slots);
  return {first, last};
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

void Emitter::columns(int64_t columns,
                      function_ref<void(Value, int64_t)> body) {
  int64_t whole = columns / lanes * lanes;
  if (whole == lanes)
    body(index(0), lanes);
  else if (whole > 0)
    loop(index(0), index(whole), lanes, [&](Value iv) { body(iv, lanes); });
  if (whole < columns)
    body(index(whole), columns - whole);
}

SmallVector<Value> Emitter::columns(
    int64_t columns, ValueRange init,
    function_ref<SmallVector<Value>(Value, int64_t, ValueRange)> body) {
  int64_t whole = columns / lanes * lanes;
  SmallVector<Value> carried(init);
  if (whole > 0)
    carried = loop(index(0), index(whole), lanes, carried,
                   [&](Value iv, ValueRange c) { return body(iv, lanes, c); });
  if (whole < columns)
    carried = body(index(whole), columns - whole, carried);
  return carried;
}

Value Emitter::maskOf(Value count) {
  return vector::CreateMaskOp::create(
      b, loc, VectorType::get({lanes}, b.getI1Type()), ValueRange{count});
}

Value Emitter::load(Value memref, ValueRange indices, int64_t count) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  VectorType type = vectorOf(element);
  if (count == lanes)
    return widen(vector::LoadOp::create(b, loc, type, memref, indices));
  if (lacksMask(element)) {
    auto part = VectorType::get({count}, element);
    Value loaded = widen(vector::LoadOp::create(b, loc, part, memref, indices));
    return vector::InsertStridedSliceOp::create(
        b, loc, loaded, splat(0.0), ArrayRef<int64_t>{0}, ArrayRef<int64_t>{1});
  }
  Value zero = constant(type, 0.0);
  Value mask = maskOf(index(count));
  return widen(
      vector::MaskedLoadOp::create(b, loc, type, memref, indices, mask, zero));
}

/// AVX2 has no masked access to 16-bit elements, and what LLVM makes of one on
/// bf16 without AVX512-BF16, which emulation goes without, calls a library
/// function a lane. NEON has none at all.
bool Emitter::lacksMask(Type element) const {
  return target.isAArch64() ||
         (lanes == 8 && element.getIntOrFloatBitWidth() == 16) ||
         (target.emulate && element.isBF16());
}

void Emitter::store(Value vector, Value memref, ValueRange indices,
                    int64_t count) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  if (count < lanes && lacksMask(element))
    vector = vector::ExtractStridedSliceOp::create(
        b, loc, vector, ArrayRef<int64_t>{0}, ArrayRef<int64_t>{count},
        ArrayRef<int64_t>{1});
  else if (count < lanes)
    return storeMasked(vector, memref, indices, maskOf(index(count)));
  vector::StoreOp::create(b, loc, narrow(vector, element), memref, indices);
}

void Emitter::storeMasked(Value vector, Value memref, ValueRange indices,
                          Value mask) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  if (lacksMask(element)) {
    for (int64_t lane = 0; lane < lanes; ++lane)
      when(vector::ExtractOp::create(b, loc, mask, ArrayRef<int64_t>{lane}),
           [&] {
             SmallVector<Value> at(indices);
             at.back() = add(at.back(), lane);
             storeScalar(vector::ExtractOp::create(b, loc, vector,
                                                   ArrayRef<int64_t>{lane}),
                         memref, at);
           });
    return;
  }
  vector::MaskedStoreOp::create(b, loc, memref, indices, mask,
                                narrow(vector, element));
}

Value Emitter::loadMasked(Value memref, ValueRange indices, Value mask) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  VectorType type = vectorOf(element);
  if (!lacksMask(element))
    return widen(vector::MaskedLoadOp::create(b, loc, type, memref, indices,
                                              mask, constant(type, 0.0)));
  Value result = splat(0.0);
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Value isOn =
        vector::ExtractOp::create(b, loc, mask, ArrayRef<int64_t>{lane});
    SmallVector<Value> at(indices);
    at.back() = add(at.back(), lane);
    auto guarded = scf::IfOp::create(
        b, loc, isOn,
        [&](OpBuilder &, Location) {
          scf::YieldOp::create(b, loc, loadScalar(memref, at));
        },
        [&](OpBuilder &, Location) { scf::YieldOp::create(b, loc, f32(0.0)); });
    result = vector::InsertOp::create(b, loc, guarded.getResult(0), result,
                                      ArrayRef<int64_t>{lane});
  }
  return result;
}

Value Emitter::loadScalar(Value memref, ValueRange indices) {
  return widen(memref::LoadOp::create(b, loc, memref, indices));
}

void Emitter::storeScalar(Value f32, Value memref, ValueRange indices) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  memref::StoreOp::create(b, loc, narrow(f32, element), memref, indices);
}

Value Emitter::broadcast(Value scalar) {
  return vector::BroadcastOp::create(b, loc, vectorOf(scalar.getType()),
                                     scalar);
}

/// The type of `like` (scalar or vector) with another element.
static Type withElement(Type like, Type element) {
  if (auto vector = dyn_cast<VectorType>(like))
    return vector.clone(element);
  return element;
}

Value Emitter::widen(Value value) {
  Type element = getElementTypeOrSelf(value.getType());
  if (element.isF32())
    return value;
  Type wide = withElement(value.getType(), b.getF32Type());
  if (!element.isBF16())
    return arith::ExtFOp::create(b, loc, wide, value);
  // A bf16 is the upper half of an f32.
  Type i16 = withElement(value.getType(), b.getI16Type());
  Type i32 = withElement(value.getType(), b.getI32Type());
  Value bits = arith::BitcastOp::create(b, loc, i16, value);
  bits = arith::ExtUIOp::create(b, loc, i32, bits);
  bits = arith::ShLIOp::create(b, loc, bits, integer(i32, 16));
  return arith::BitcastOp::create(b, loc, wide, bits);
}

Value Emitter::narrow(Value value, Type element) {
  if (element.isF32())
    return value;
  Type type = withElement(value.getType(), element);
  if (!element.isBF16())
    return arith::TruncFOp::create(b, loc, type, value);
  // Written out: arith.truncf calls a library function a lane where the ISA
  // has no instruction, and the bits must not depend on the ISA.
  Type i32 = withElement(value.getType(), b.getI32Type());
  Type i16 = withElement(value.getType(), b.getI16Type());
  Value bits = arith::BitcastOp::create(b, loc, i32, value);
  Value high = arith::ShRUIOp::create(b, loc, bits, integer(i32, 16));
  Value odd = arith::AndIOp::create(b, loc, high, integer(i32, 1));
  Value bias = arith::AddIOp::create(b, loc, odd, integer(i32, 0x7fff));
  Value rounded = arith::ShRUIOp::create(
      b, loc, arith::AddIOp::create(b, loc, bits, bias), integer(i32, 16));
  Value quiet = arith::OrIOp::create(b, loc, high, integer(i32, 0x40));
  Value isNaN =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, value, value);
  rounded = arith::SelectOp::create(b, loc, isNaN, quiet, rounded);
  rounded = arith::TruncIOp::create(b, loc, i16, rounded);
  return arith::BitcastOp::create(b, loc, type, rounded);
}

Value Emitter::fma(Value a, Value c, Value d) {
  return math::FmaOp::create(b, loc, a, c, d);
}
Value Emitter::addf(Value a, Value c) {
  return arith::AddFOp::create(b, loc, a, c);
}
Value Emitter::subf(Value a, Value c) {
  return arith::SubFOp::create(b, loc, a, c);
}
Value Emitter::mulf(Value a, Value c) {
  return arith::MulFOp::create(b, loc, a, c);
}
Value Emitter::divf(Value a, Value c) {
  return arith::DivFOp::create(b, loc, a, c);
}
Value Emitter::maxf(Value a, Value c) {
  // a > c ? a : c, one instruction; callers keep NaN out of it or do not care.
  Value greater =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, a, c);
  return arith::SelectOp::create(b, loc, greater, a, c);
}

/// Folds the upper half of a vector onto the lower until one lane is left.
static Value reduceTree(Emitter &e, Value vector,
                        function_ref<Value(Value, Value)> combine) {
  int64_t width = cast<VectorType>(vector.getType()).getNumElements();
  while (width > 1) {
    int64_t half = width / 2;
    Value low = vector::ExtractStridedSliceOp::create(
        e.b, e.loc, vector, ArrayRef<int64_t>{0}, ArrayRef<int64_t>{half},
        ArrayRef<int64_t>{1});
    Value high = vector::ExtractStridedSliceOp::create(
        e.b, e.loc, vector, ArrayRef<int64_t>{half}, ArrayRef<int64_t>{half},
        ArrayRef<int64_t>{1});
    vector = combine(low, high);
    width = half;
  }
  return vector::ExtractOp::create(e.b, e.loc, vector, ArrayRef<int64_t>{0});
}

Value Emitter::reduceAdd(Value vector) {
  return reduceTree(*this, vector,
                    [&](Value a, Value c) { return addf(a, c); });
}

Value Emitter::reduceMax(Value vector) {
  return reduceTree(*this, vector,
                    [&](Value a, Value c) { return maxf(a, c); });
}

Value Emitter::callIntrinsic(StringRef name, Type result,
                             ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr(name),
                                       operands)
      .getResult(0);
}

void Emitter::callIntrinsic(StringRef name, ValueRange operands) {
  LLVM::CallIntrinsicOp::create(b, loc, b.getStringAttr(name), operands);
}

Value Emitter::addressOf(Value memref) {
  return memref::ExtractAlignedPointerAsIndexOp::create(b, loc, memref);
}

Value Emitter::pointerTo(Value address) {
  Value bits = arith::IndexCastOp::create(b, loc, b.getI64Type(), address);
  return LLVM::IntToPtrOp::create(
      b, loc, LLVM::LLVMPointerType::get(b.getContext()), bits);
}

Value Emitter::loadVolatile(Type type, Value memref, Value at) {
  assert(cast<MemRefType>(memref.getType()).getElementTypeBitWidth() == 16 &&
         cast<MemRefType>(memref.getType()).getLayout().isIdentity() &&
         "elements are counted in i16");
  Value offset = arith::IndexCastOp::create(b, loc, b.getI64Type(), at);
  Value start = LLVM::GEPOp::create(
      b, loc, LLVM::LLVMPointerType::get(b.getContext()), b.getI16Type(),
      pointerTo(addressOf(memref)), LLVM::GEPArg(offset));
  return LLVM::LoadOp::create(b, loc, type, start, /*alignment=*/4,
                              /*isVolatile=*/true);
}

Value Emitter::view(Value bytes, Value start, MemRefType type, Value size) {
  return memref::ViewOp::create(b, loc, type, bytes, start, ValueRange{size});
}

Value Emitter::scratchView(Value scratch, int64_t bytes, MemRefType type) {
  return memref::ViewOp::create(b, loc, type, scratch, index(bytes),
                                ValueRange());
}

int64_t moec::kernels::columnCount(Value rows) {
  return cast<MemRefType>(rows.getType()).getDimSize(1);
}
