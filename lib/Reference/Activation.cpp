//===- Activation.cpp - Activation functions on scalars -------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Activation.h"

#include <cmath>

using namespace mlir;
using namespace moec::reference;

double moec::reference::sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// Hendrycks and Gimpel 2016, section 2: x * Phi(x), Phi by way of erfc,
/// which keeps its relative precision in the left tail.
static double gelu(double x) {
  return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
}

static double geluTanh(double x) {
  constexpr double pi = 3.14159265358979323846;
  double inner = std::sqrt(2 / pi) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(inner));
}

double moec::reference::activate(lm::Activation function, double x) {
  switch (function) {
  case lm::Activation::SiLU:
    return x * sigmoid(x);
  case lm::Activation::GELU:
    return gelu(x);
  case lm::Activation::GELUTanh:
    return geluTanh(x);
  case lm::Activation::ReLU:
    return x < 0 ? 0 : x;
  case lm::Activation::Sigmoid:
    return sigmoid(x);
  }
  llvm_unreachable("unknown activation");
}
