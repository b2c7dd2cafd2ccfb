//===- Keys.h - Numbers that order as keys do -------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_KEYS_H
#define MOE_LIB_KERNELS_KEYS_H

#include "Emitter.h"

namespace moec::kernels {

/// The two lowest keys: NaN, and below it an expert that is not eligible
/// because its group lost.
inline constexpr int32_t kNaNKey = -2147483647, kIneligibleKey = -2147483648;

/// An i32 (scalar or vector) that orders as the f32 `key` does, -0 as +0 and
/// NaN below -inf.
mlir::Value orderedBits(Emitter &e, mlir::Value key);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_KEYS_H
