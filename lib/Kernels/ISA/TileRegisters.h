//===- TileRegisters.h - Registers of matrix tiles (AMX) --------*- C++ -*-===//
//
// Part of moe-mlir. AMX-TILE, AMX-BF16 and AMX-INT8, native and generic. A
// thread has eight registers of up to 16 rows of 64 bytes; how many rows and
// bytes of each are used is the thread's configuration. Generic code keeps both
// in memory.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ISA_TILEREGISTERS_H
#define MOE_LIB_KERNELS_ISA_TILEREGISTERS_H

#include "../Emitter.h"

namespace moec::kernels {

class TileRegisters {
public:
  static constexpr int64_t kCount = 8, kRows = 16, kRowBytes = 64;
  static constexpr int64_t kBytes = kRows * kRowBytes;

  /// `state` is the address of stateBytes that are the thread's own.
  TileRegisters(Emitter &e, mlir::Value state) : e(e), state(state) {}
  static int64_t stateBytes(const Target &target);

  /// LDTILECFG: rows (index values) and bytes of a row of each register.
  void configure(llvm::ArrayRef<mlir::Value> rows,
                 llvm::ArrayRef<int64_t> rowBytes);
  /// TILERELEASE: the thread has no tiles to save any longer.
  void release();

  void zero(int64_t tile);
  /// TILELOADD, TILESTORED: rows `stride` bytes from each other.
  void load(int64_t tile, mlir::Value address, int64_t stride = kRowBytes);
  void store(int64_t tile, mlir::Value address);

  /// TDPBF16PS. For each f32 of `sum`: even and odd elements of a's row and b's
  /// column are summed apart from 0 on, by fused multiply-adds in ascending
  /// order; then the even sum plus the odd one is added. Denormal inputs and
  /// results are flushed.
  void dotPairs(int64_t sum, int64_t a, int64_t b);
  /// TDPBSUD: bytes of a signed, of b unsigned; exact sums, modulo 2^32.
  void dotQuads(int64_t sum, int64_t a, int64_t b);

private:
  using Value = mlir::Value;

  bool isNative() const { return !e.target.emulate; }
  Value number(int64_t tile) { return e.integer(e.b.getI8Type(), tile); }
  Value rowsOf(int64_t tile);
  Value rowBytesOf(int64_t tile);
  Value rowAddress(int64_t tile, Value row);
  Value loadAt(Value address, mlir::Type type);
  void storeAt(Value value, Value address);
  void copyRow(Value from, Value to, Value bytes);
  Value isLegal(int64_t sum, int64_t a, int64_t b);
  void genericDot(
      int64_t sum, int64_t a, int64_t b, mlir::Type element,
      llvm::function_ref<Value(Value acc, Value aRow, Value bColumn)> add);
  Value addPairs(Value acc, Value aRow, Value bColumn, Value elements);
  Value addQuads(Value acc, Value aRow, Value bColumn, Value elements);

  Emitter &e;
  Value state;
};

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ISA_TILEREGISTERS_H
