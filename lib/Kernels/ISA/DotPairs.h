//===- DotPairs.h - Dot product of pairs of bf16, accumulated ---*- C++ -*-===//
//
// Part of moe-mlir. VDPBF16PS (AVX512-BF16) or BFDOT (AArch64's bf16), native
// and generic. They round differently: each is a recipe of its own.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ISA_DOTPAIRS_H
#define MOE_LIB_KERNELS_ISA_DOTPAIRS_H

#include "../Emitter.h"

namespace moec::kernels {

/// acc[i] + a[2i+1] * w[2i+1] + a[2i] * w[2i] by the target's recipe. DotPairs:
/// odd product first, each step a fused multiply-add, as the manual defines
/// VDPBF16PS. OddPairs: acc + (sum of both products), both sums rounded to odd,
/// as Arm's manual defines BFDOT where FPCR.EBF is 0. Denormal inputs and
/// results are flushed to zero. acc: f32 lanes; a: i32 lanes, each a pair of
/// bf16 (even element in the low half); w: 2*lanes bf16.
mlir::Value emitDotPairs(Emitter &e, mlir::Value acc, mlir::Value a,
                         mlir::Value w);

/// The odd or the even elements of lanes of pairs, as f32, denormals flushed.
mlir::Value emitFlushedHalf(Emitter &e, mlir::Value pairs, bool odd);

/// f32 lanes; those below the smallest normal number become a zero of their
/// sign.
mlir::Value emitFlushed(Emitter &e, mlir::Value x);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ISA_DOTPAIRS_H
