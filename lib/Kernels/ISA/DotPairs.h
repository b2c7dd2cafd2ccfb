//===- DotPairs.h - Dot product of pairs of bf16, accumulated ---*- C++ -*-===//
//
// Part of moe-mlir. VDPBF16PS (AVX512-BF16), native and generic.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ISA_DOTPAIRS_H
#define MOE_LIB_KERNELS_ISA_DOTPAIRS_H

#include "../Emitter.h"

namespace moec::kernels {

/// acc[i] + a[2i+1] * w[2i+1] + a[2i] * w[2i], odd product first, each step a
/// fused multiply-add with denormal inputs and results flushed to zero, as the
/// manual defines VDPBF16PS. acc: f32 lanes; a: i32 lanes, each a pair of bf16
/// (even element in the low half); w: 2*lanes bf16.
mlir::Value emitDotPairs(Emitter &e, mlir::Value acc, mlir::Value a,
                         mlir::Value w);

/// The odd or the even elements of lanes of pairs, as f32, denormals flushed.
mlir::Value emitFlushedHalf(Emitter &e, mlir::Value pairs, bool odd);

/// f32 lanes; those below the smallest normal number become a zero of their
/// sign.
mlir::Value emitFlushed(Emitter &e, mlir::Value x);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ISA_DOTPAIRS_H
