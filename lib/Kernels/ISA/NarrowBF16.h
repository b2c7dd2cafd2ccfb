//===- NarrowBF16.h - Rounds f32 lanes to bf16 ------------------*- C++ -*-===//
//
// Part of moe-mlir. VCVTNEPS2BF16 (AVX512-BF16), native and generic.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ISA_NARROWBF16_H
#define MOE_LIB_KERNELS_ISA_NARROWBF16_H

#include "../Emitter.h"

namespace moec::kernels {

/// f32 lanes as bf16: nearest, ties to even, denormal inputs flushed to zero,
/// NaN quieted, as the manual defines VCVTNEPS2BF16.
mlir::Value emitNarrowBF16(Emitter &e, mlir::Value x);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ISA_NARROWBF16_H
