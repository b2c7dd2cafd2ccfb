//===- Emitter.h - Short names for the IR of kernels ------------*- C++ -*-===//
//
// Part of moe-mlir. A thin layer over OpBuilder for the kernel builders: index
// arithmetic, loops, row-wise vector access with a masked tail, rounding.
// Vectors hold f32 whatever the element type in memory: `load` widens, `store`
// rounds to nearest even.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_EMITTER_H
#define MOE_LIB_KERNELS_EMITTER_H

#include "moe/Kernels/Target.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"

namespace moec::kernels {

class Emitter {
public:
  Emitter(mlir::OpBuilder &builder, mlir::Location loc, const Target &target)
      : b(builder), loc(loc), target(target), lanes(target.lanes) {}

  mlir::OpBuilder &b;
  mlir::Location loc;
  const Target &target;
  int64_t lanes;

  using Value = mlir::Value;
  using Type = mlir::Type;

  //===--------------------------------------------------------------------===//
  // Constants and index arithmetic
  //===--------------------------------------------------------------------===//

  Value index(int64_t value);
  /// A float constant of a scalar or vector type.
  Value constant(Type type, double value);
  /// An integer constant of a scalar or vector type.
  Value integer(Type type, int64_t value);
  Value f32(double value) { return constant(b.getF32Type(), value); }
  /// A vector of f32 lanes with one value.
  Value splat(double value) { return constant(vectorType(), value); }

  Value add(Value a, Value c);
  Value add(Value a, int64_t c) { return c == 0 ? a : add(a, index(c)); }
  Value sub(Value a, Value c);
  Value mul(Value a, Value c);
  Value mul(Value a, int64_t c) { return c == 1 ? a : mul(a, index(c)); }
  Value div(Value a, Value c);
  Value div(Value a, int64_t c) { return c == 1 ? a : div(a, index(c)); }
  Value rem(Value a, Value c);
  Value ceilDiv(Value a, Value c);
  Value min(Value a, Value c);
  Value max(Value a, Value c);
  Value less(Value a, Value c);
  Value lessEqual(Value a, Value c);
  Value equal(Value a, Value c);
  Value select(Value condition, Value a, Value c);
  Value dim(Value memref, int64_t d);
  Value toIndex(Value i32);
  Value toI32(Value index);

  //===--------------------------------------------------------------------===//
  // Control
  //===--------------------------------------------------------------------===//

  using Body = llvm::function_ref<void(Value)>;
  using CarryBody =
      llvm::function_ref<llvm::SmallVector<Value>(Value, mlir::ValueRange)>;

  void loop(Value lower, Value upper, int64_t step, Body body);
  llvm::SmallVector<Value> loop(Value lower, Value upper, int64_t step,
                                mlir::ValueRange init, CarryBody body);
  void when(Value condition, llvm::function_ref<void()> then,
            llvm::function_ref<void()> otherwise = nullptr);

  /// This slot's part [first, last) of `count` items.
  std::pair<Value, Value> share(Value count, Value slot, Value slots);

  //===--------------------------------------------------------------------===//
  // Vectors of f32 lanes
  //===--------------------------------------------------------------------===//

  mlir::VectorType vectorType() { return vectorOf(b.getF32Type()); }
  mlir::VectorType vectorOf(Type element) {
    return mlir::VectorType::get({lanes}, element);
  }

  /// Runs `body(column, count)` over [0, columns): whole vectors in a loop,
  /// then the tail (count < lanes), if there is one.
  void columns(int64_t columns, llvm::function_ref<void(Value, int64_t)> body);
  /// The same with values carried along.
  llvm::SmallVector<Value>
  columns(int64_t columns, mlir::ValueRange init,
          llvm::function_ref<llvm::SmallVector<Value>(Value, int64_t,
                                                      mlir::ValueRange)>
              body);

  /// `count` elements from `memref[indices]` on, widened to f32; lanes past
  /// count are 0.
  Value load(Value memref, mlir::ValueRange indices, int64_t count);
  Value load(Value memref, mlir::ValueRange indices) {
    return load(memref, indices, lanes);
  }
  /// Rounds to the memref's element type and stores `count` lanes.
  void store(Value vector, Value memref, mlir::ValueRange indices,
             int64_t count);
  void store(Value vector, Value memref, mlir::ValueRange indices) {
    store(vector, memref, indices, lanes);
  }
  /// The same with a mask known only at run time (vector of i1).
  void storeMasked(Value vector, Value memref, mlir::ValueRange indices,
                   Value mask);
  /// A load with such a mask; masked-off lanes are 0.
  Value loadMasked(Value memref, mlir::ValueRange indices, Value mask);
  /// Mask of the first `count` lanes, count an index.
  Value maskOf(Value count);

  /// A scalar element, widened to f32.
  Value loadScalar(Value memref, mlir::ValueRange indices);
  void storeScalar(Value f32, Value memref, mlir::ValueRange indices);
  Value broadcast(Value scalar);

  /// bf16 / f16 / f32 (scalar or vector) -> f32.
  Value widen(Value value);
  /// f32 -> `element`, round to nearest even; NaN stays NaN.
  Value narrow(Value value, Type element);

  Value fma(Value a, Value c, Value d);
  Value addf(Value a, Value c);
  Value subf(Value a, Value c);
  Value mulf(Value a, Value c);
  Value divf(Value a, Value c);
  Value maxf(Value a, Value c);

  /// Sum / maximum of all lanes, as a fixed tree of halves.
  Value reduceAdd(Value vector);
  Value reduceMax(Value vector);

  /// The result of an intrinsic of LLVM.
  Value callIntrinsic(llvm::StringRef name, Type result,
                      mlir::ValueRange operands);
  /// Of one without a result.
  void callIntrinsic(llvm::StringRef name, mlir::ValueRange operands);

  /// The address of a memref's first element, as an index.
  Value addressOf(Value memref);
  /// The pointer of LLVM to an address.
  Value pointerTo(Value address);
  /// A vector of 4-byte elements from element `at` of a memref of 16-bit
  /// elements on, as a read that LLVM does not merge with others. It does not
  /// move other reads of memory across it either.
  Value loadVolatile(mlir::Type type, Value memref, Value at);

  /// A view of bytes from `start` on, of one dynamic size.
  Value view(Value bytes, Value start, mlir::MemRefType type, Value size);
  /// A view of this slot's scratch, `bytes` from its start.
  Value scratchView(Value scratch, int64_t bytes, mlir::MemRefType type);

private:
  bool lacksMask(Type element) const;
};

/// The columns of a memref of rows, which are static.
int64_t columnCount(mlir::Value rows);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_EMITTER_H
