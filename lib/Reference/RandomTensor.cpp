//===- RandomTensor.cpp - Tensors made from a seed ------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Reference/RandomTensor.h"

#include "llvm/Support/xxhash.h"

#include <cmath>

using namespace moec::reference;

// Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014.
uint64_t RandomNumbers::next() {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double RandomNumbers::uniform(double low, double high) {
  return low + (high - low) * std::ldexp(double(next() >> 11), -53);
}

int64_t RandomNumbers::integer(int64_t low, int64_t high) {
  return low + int64_t(next() % uint64_t(high - low + 1));
}

static Tensor fill(RandomNumbers numbers, Element element,
                   llvm::ArrayRef<int64_t> shape, double low, double high) {
  Tensor tensor(element, shape);
  for (double &value : tensor.data)
    value = numbers.uniform(low, high);
  tensor.round();
  return tensor;
}

Tensor moec::reference::makeRandomTensor(uint64_t seed, Element element,
                                         llvm::ArrayRef<int64_t> shape) {
  if (element != Element::I32)
    return fill(RandomNumbers(seed), element, shape, -1, 1);
  RandomNumbers numbers(seed);
  Tensor tensor(element, shape);
  for (double &value : tensor.data)
    value = numbers.integer(0, 15);
  return tensor;
}

Tensor moec::reference::makeRandomWeight(uint64_t seed, llvm::StringRef name,
                                         Element element,
                                         llvm::ArrayRef<int64_t> shape) {
  RandomNumbers numbers(seed ^ llvm::xxh3_64bits(name));
  if (shape.size() < 2)
    return fill(numbers, element, shape, 0.5, 1.5);
  double bound = std::sqrt(3.0 / shape.back());
  return fill(numbers, element, shape, -bound, bound);
}
