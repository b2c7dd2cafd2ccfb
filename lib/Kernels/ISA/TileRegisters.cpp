//===- TileRegisters.cpp - Registers of matrix tiles (AMX) ----------------===//
//
// Part of moe-mlir. Registers have fixed numbers, as in C's _tile_loadd: the
// kernels know which tile is where, and one configuration serves many calls of
// tile functions, where MLIR's `amx` dialect loads one in each.
//
//===----------------------------------------------------------------------===//

#include "TileRegisters.h"
#include "DotPairs.h"
#include "DotQuads.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace moec::kernels;

/// The configuration's bytes: palette 1, bytes of a row (16 bits each) and
/// numbers of rows (8 bits).
static constexpr int64_t kConfigBytes = 64, kRowBytesAt = 16, kRowsAt = 48;

int64_t TileRegisters::stateBytes(const Target &target) {
  return kConfigBytes + (target.emulate ? kCount * kBytes : 0);
}

Value TileRegisters::loadAt(Value address, Type type) {
  return LLVM::LoadOp::create(e.b, e.loc, type, e.pointerTo(address),
                              /*alignment=*/1);
}

void TileRegisters::storeAt(Value value, Value address) {
  LLVM::StoreOp::create(e.b, e.loc, value, e.pointerTo(address),
                        /*alignment=*/1);
}

//===----------------------------------------------------------------------===//
// Configuration
//===----------------------------------------------------------------------===//

void TileRegisters::configure(ArrayRef<Value> rows,
                              ArrayRef<int64_t> rowBytes) {
  Type i64 = e.b.getI64Type();
  SmallVector<Value> words(kConfigBytes / 8, e.integer(i64, 0));
  words[0] = e.integer(i64, 1);
  for (int64_t half : {0, 1}) {
    int64_t word = 0;
    for (int64_t i = 0; i < 4; ++i)
      word |= rowBytes[4 * half + i] << (16 * i);
    words[kRowBytesAt / 8 + half] = e.integer(i64, word);
  }
  for (auto [i, count] : llvm::enumerate(rows)) {
    Value byte = arith::IndexCastOp::create(e.b, e.loc, i64, count);
    byte = arith::ShLIOp::create(e.b, e.loc, byte, e.integer(i64, 8 * i));
    Value &word = words[kRowsAt / 8];
    word = arith::OrIOp::create(e.b, e.loc, word, byte);
  }
  for (auto [i, word] : llvm::enumerate(words))
    storeAt(word, e.add(state, 8 * i));
  if (isNative())
    e.callIntrinsic("llvm.x86.ldtilecfg", {e.pointerTo(state)});
}

void TileRegisters::release() {
  if (isNative())
    e.callIntrinsic("llvm.x86.tilerelease", {});
}

Value TileRegisters::rowsOf(int64_t tile) {
  Value rows = loadAt(e.add(state, kRowsAt + tile), e.b.getI8Type());
  return arith::IndexCastUIOp::create(e.b, e.loc, e.b.getIndexType(), rows);
}

Value TileRegisters::rowBytesOf(int64_t tile) {
  Value bytes = loadAt(e.add(state, kRowBytesAt + 2 * tile), e.b.getI16Type());
  return arith::IndexCastUIOp::create(e.b, e.loc, e.b.getIndexType(), bytes);
}

//===----------------------------------------------------------------------===//
// Loads and stores
//===----------------------------------------------------------------------===//

Value TileRegisters::rowAddress(int64_t tile, Value row) {
  return e.add(e.add(state, kConfigBytes + tile * kBytes),
               e.mul(row, kRowBytes));
}

/// Rows are whole vectors of 16 bytes.
void TileRegisters::copyRow(Value from, Value to, Value bytes) {
  Type type = VectorType::get({4}, e.b.getI32Type());
  e.loop(e.index(0), bytes, 16, [&](Value at) {
    storeAt(loadAt(e.add(from, at), type), e.add(to, at));
  });
}

void TileRegisters::zero(int64_t tile) {
  if (isNative()) {
    e.callIntrinsic("llvm.x86.tilezero", {number(tile)});
    return;
  }
  e.loop(e.index(0), e.index(kBytes), 4 * e.lanes, [&](Value at) {
    storeAt(e.splat(0.0), e.add(rowAddress(tile, e.index(0)), at));
  });
}

void TileRegisters::load(int64_t tile, Value address, int64_t stride) {
  if (isNative()) {
    e.callIntrinsic("llvm.x86.tileloadd64",
                    {number(tile), e.pointerTo(address),
                     e.integer(e.b.getI64Type(), stride)});
    return;
  }
  e.loop(e.index(0), rowsOf(tile), 1, [&](Value row) {
    copyRow(e.add(address, e.mul(row, stride)), rowAddress(tile, row),
            rowBytesOf(tile));
  });
}

void TileRegisters::store(int64_t tile, Value address) {
  if (isNative()) {
    e.callIntrinsic("llvm.x86.tilestored64",
                    {number(tile), e.pointerTo(address),
                     e.integer(e.b.getI64Type(), kRowBytes)});
    return;
  }
  e.loop(e.index(0), rowsOf(tile), 1, [&](Value row) {
    copyRow(rowAddress(tile, row), e.add(address, e.mul(row, kRowBytes)),
            rowBytesOf(tile));
  });
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Replaces each vector of `sum` by add(vector, address of a's row, address of
/// the vector's column in b); all by ones (NaN, -1) where the configuration is
/// one of which the instruction faults, which no emulation would notice.
void TileRegisters::genericDot(int64_t sum, int64_t a, int64_t b, Type element,
                               function_ref<Value(Value, Value, Value)> add) {
  Type type = e.vectorOf(element);
  auto eachVector = [&](function_ref<void(Value, Value, Value)> body) {
    e.loop(e.index(0), rowsOf(sum), 1, [&](Value row) {
      e.loop(e.index(0), rowBytesOf(sum), 4 * e.lanes, [&](Value column) {
        body(row, column, e.add(rowAddress(sum, row), column));
      });
    });
  };
  e.when(
      isLegal(sum, a, b),
      [&] {
        eachVector([&](Value row, Value column, Value at) {
          Value bColumn = e.add(rowAddress(b, e.index(0)), column);
          storeAt(add(loadAt(at, type), rowAddress(a, row), bColumn), at);
        });
      },
      [&] {
        eachVector([&](Value, Value, Value at) {
          storeAt(e.integer(e.vectorOf(e.b.getI32Type()), -1), at);
        });
      });
}

/// Whether the tiles' shapes are those of a product.
Value TileRegisters::isLegal(int64_t sum, int64_t a, int64_t b) {
  Value conditions[] = {e.equal(rowsOf(sum), rowsOf(a)),
                        e.equal(rowBytesOf(sum), rowBytesOf(b)),
                        e.equal(rowBytesOf(a), e.mul(rowsOf(b), 4)),
                        e.lessEqual(rowsOf(sum), e.index(kRows)),
                        e.lessEqual(rowBytesOf(a), e.index(kRowBytes))};
  Value all = conditions[0];
  for (Value condition : ArrayRef(conditions).drop_front())
    all = arith::AndIOp::create(e.b, e.loc, all, condition);
  return all;
}

Value TileRegisters::addPairs(Value acc, Value aRow, Value bColumn,
                              Value elements) {
  Type i32 = e.b.getI32Type();
  SmallVector<Value> zeros(2, e.splat(0.0));
  SmallVector<Value> sums =
      e.loop(e.index(0), elements, 1, zeros, [&](Value k, ValueRange before) {
        Value x = e.broadcast(loadAt(e.add(aRow, e.mul(k, 4)), i32));
        Value w = loadAt(e.add(bColumn, e.mul(k, kRowBytes)), e.vectorOf(i32));
        SmallVector<Value> next;
        for (auto [odd, old] : llvm::enumerate(before))
          next.push_back(
              emitFlushed(e, e.fma(emitFlushedHalf(e, x, odd),
                                   emitFlushedHalf(e, w, odd), old)));
        return next;
      });
  Value both = emitFlushed(e, e.addf(sums[0], sums[1]));
  return emitFlushed(e, e.addf(emitFlushed(e, acc), both));
}

Value TileRegisters::addQuads(Value acc, Value aRow, Value bColumn,
                              Value elements) {
  Type i32 = e.b.getI32Type();
  return e.loop(e.index(0), elements, 1, acc,
                [&](Value k, ValueRange before) -> SmallVector<Value> {
                  Value x = e.broadcast(loadAt(e.add(aRow, e.mul(k, 4)), i32));
                  Value w = loadAt(e.add(bColumn, e.mul(k, kRowBytes)),
                                   e.vectorOf(i32));
                  return {emitDotQuads(e, ByteDot::Quads, before[0], x, w)};
                })[0];
}

void TileRegisters::dotPairs(int64_t sum, int64_t a, int64_t b) {
  if (isNative()) {
    e.callIntrinsic("llvm.x86.tdpbf16ps", {number(sum), number(a), number(b)});
    return;
  }
  Value elements = e.div(rowBytesOf(a), 4);
  genericDot(sum, a, b, e.b.getF32Type(), [&](Value acc, Value x, Value w) {
    return addPairs(acc, x, w, elements);
  });
}

void TileRegisters::dotQuads(int64_t sum, int64_t a, int64_t b) {
  if (isNative()) {
    e.callIntrinsic("llvm.x86.tdpbsud", {number(sum), number(a), number(b)});
    return;
  }
  Value elements = e.div(rowBytesOf(a), 4);
  genericDot(sum, a, b, e.b.getI32Type(), [&](Value acc, Value x, Value w) {
    return addQuads(acc, x, w, elements);
  });
}
