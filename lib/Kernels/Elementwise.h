//===- Elementwise.h - exp and its relatives, expanded ----------*- C++ -*-===//
//
// Part of moe-mlir. One expansion at every width (scalar, 8 or 16 lanes), so
// that a value's bits do not depend on where in a row it stands. No libm.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ELEMENTWISE_H
#define MOE_LIB_KERNELS_ELEMENTWISE_H

#include "Emitter.h"
#include "dialects/LM/IR/LMDialect.h"

namespace moec::kernels {

/// e^x for f32, within 2 ulp; 0 below -87.3, inf above 88.7, NaN stays NaN.
mlir::Value emitExp(Emitter &e, mlir::Value x);
/// The same for x <= 0 or NaN, cheaper.
mlir::Value emitExpNonPositive(Emitter &e, mlir::Value x);
/// Natural logarithm of a positive, normal f32, within 2 ulp.
mlir::Value emitLog(Emitter &e, mlir::Value x);
/// log(1 + x) for 0 <= x <= 1, within 4 ulp.
mlir::Value emitLog1p(Emitter &e, mlir::Value x);
/// An activation function of the lm dialect.
mlir::Value emitActivation(Emitter &e, mlir::lm::Activation function,
                           mlir::Value x);
/// x bounded to [-limit, limit]; NaN stays NaN.
mlir::Value emitClip(Emitter &e, mlir::Value x, double limit);
/// Sine and cosine of f64 lanes, |x| below 2^30, absolute error below 2^-50.
std::pair<mlir::Value, mlir::Value> emitSinCos(Emitter &e, mlir::Value x);

/// e^x of an f64 scalar, within 2 ulp; 0 below -746, inf above 710, NaN stays
/// NaN.
mlir::Value emitExp64(Emitter &e, mlir::Value x);
/// Natural logarithm of an f64 scalar >= 0, within 2 ulp or 2^-52; -inf at 0.
mlir::Value emitLog64(Emitter &e, mlir::Value x);
/// x^p of an f64 scalar >= 0, p > 0, with a relative error below 2^-40.
mlir::Value emitPow64(Emitter &e, mlir::Value x, double p);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ELEMENTWISE_H
