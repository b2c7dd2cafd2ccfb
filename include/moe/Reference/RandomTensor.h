//===- RandomTensor.h - Tensors made from a seed ----------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_REFERENCE_RANDOMTENSOR_H
#define MOE_REFERENCE_RANDOMTENSOR_H

#include "moe/Reference/Tensor.h"

namespace moec::reference {

/// A generator that gives the same numbers on every machine (SplitMix64).
class RandomNumbers {
public:
  explicit RandomNumbers(uint64_t seed) : state(seed) {}
  uint64_t next();
  /// Uniform in [low, high).
  double uniform(double low, double high);
  /// Uniform in low .. high, both included.
  int64_t integer(int64_t low, int64_t high);

private:
  uint64_t state;
};

/// Uniform in [-1, 1), integers in 0 .. 15.
Tensor makeRandomTensor(uint64_t seed, Element element,
                        llvm::ArrayRef<int64_t> shape);

/// A weight that keeps the scale of what it is applied to: vectors lie in
/// [0.5, 1.5), matrices in +-sqrt(3 / columns). The seed is mixed with the
/// name, so that weights of one shape differ.
Tensor makeRandomWeight(uint64_t seed, llvm::StringRef name, Element element,
                        llvm::ArrayRef<int64_t> shape);

} // namespace moec::reference

#endif // MOE_REFERENCE_RANDOMTENSOR_H
