//===- Activation.h - Activation functions on scalars -----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_REFERENCE_ACTIVATION_H
#define MOE_LIB_REFERENCE_ACTIVATION_H

#include "dialects/LM/IR/LMDialect.h"

namespace moec::reference {

double sigmoid(double x);
double activate(mlir::lm::Activation function, double x);

} // namespace moec::reference

#endif // MOE_LIB_REFERENCE_ACTIVATION_H
