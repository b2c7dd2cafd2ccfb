//===- DotQuads.h - Integer dot product of four bytes, summed ---*- C++ -*-===//
//
// Part of moe-mlir. VPDPBUSD (AVX512-VNNI, AVX-VNNI), or VPMADDWD where there
// is none: sums are exact, so both give the same integers. Native and generic.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ISA_DOTQUADS_H
#define MOE_LIB_KERNELS_ISA_DOTQUADS_H

#include "../Emitter.h"

namespace moec::kernels {

/// i32 elements in which a packed row holds four integers of a byte each: 1,
/// or 2 where the target multiplies pairs of 16 bits (integers 0 and 2, then 1
/// and 3).
int64_t quadElements(const Target &target);

/// The elements for the integers (i32 lanes, each within a byte) of a row, in
/// the order in which they lie in memory: scalars of i32.
llvm::SmallVector<mlir::Value> emitRowQuads(Emitter &e, mlir::Value integers);

/// What `emitDotQuads` takes for lanes of four unsigned bytes.
llvm::SmallVector<mlir::Value> emitWeightQuads(Emitter &e, mlir::Value bytes);

/// acc[i] + sum of the four products of lane i, exact: a signed, w unsigned.
/// `a` and `w` have quadElements vectors of i32 lanes.
mlir::Value emitDotQuads(Emitter &e, mlir::Value acc, mlir::ValueRange a,
                         mlir::ValueRange w);

/// table[c] for each byte c of i32 lanes; c < 16 (VPSHUFB).
mlir::Value emitLookUp(Emitter &e, mlir::Value bytes,
                       llvm::ArrayRef<int8_t> table);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ISA_DOTQUADS_H
