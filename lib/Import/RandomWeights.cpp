//===- RandomWeights.cpp - Generated weights ------------------------------===//
//
// Part of moe-mlir. For --weights=random:SEED. Counter-based: element c of a
// row is a function of (seed, weight name, row, c) alone, so that rows can be
// made in any order by any thread. No libm call, so that every machine makes
// the same.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/WeightMap.h"

#include "llvm/Support/xxhash.h"

#include <algorithm>
#include <cassert>
#include <cmath>

using namespace moe;

namespace {

/// The finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable
/// Pseudorandom Number Generators, OOPSLA 2014).
uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

constexpr uint64_t golden = 0x9e3779b97f4a7c15;

/// The sum of four uniform 16-bit numbers, less its mean: close to normal,
/// within 3.5 standard deviations.
int32_t nearNormal(uint64_t bits) {
  constexpr uint64_t lanes = 0x0000ffff0000ffff;
  uint64_t pairs = (bits & lanes) + ((bits >> 16) & lanes);
  int32_t sum = static_cast<int32_t>(pairs & 0xffffffff) +
                static_cast<int32_t>(pairs >> 32);
  return sum - 2 * 65535;
}

// A version of a loop for each width of vectors, chosen when the program is
// loaded: multiplying 64-bit lanes is one instruction in AVX-512DQ, and the
// rest is built for any machine of its architecture.
#if defined(__x86_64__) && defined(__ELF__)
#define MOE_VECTOR_VERSIONS                                                    \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MOE_VECTOR_VERSIONS
#endif

/// Element c of `out` from number c + 1 of the sequence that starts at
/// `counter`. Integers up to one exact conversion and one product: the same in
/// every version.
MOE_VECTOR_VERSIONS
void fillNearNormal(uint64_t counter, float scale, float *out, size_t count) {
  for (size_t c = 0; c < count; ++c)
    out[c] =
        static_cast<float>(nearNormal(mix(counter + golden * (c + 1)))) * scale;
}

class RandomWeights : public WeightSource {
public:
  RandomWeights(const ModelConfig &config, uint64_t seed)
      : WeightSource(logicalWeights(config)) {
    for (const LogicalWeight &weight : weights()) {
      // A tied head is the embedding.
      uint64_t name = llvm::xxh3_64bits(weight.tied ? "embed" : weight.name);
      keys.push_back(mix(seed ^ name));
    }
  }

  ElementType storedType(const LogicalWeight &, int64_t) const override {
    return ElementType::F32;
  }

  void readRow(const LogicalWeight &weight, int64_t expert, int64_t row,
               llvm::MutableArrayRef<float> out) const override {
    assert(expert >= 0 && expert < weight.experts() && row >= 0 &&
           row < weight.rows() &&
           out.size() == static_cast<size_t>(weight.columns()));
    if (weight.role == WeightRole::Norm) {
      std::fill(out.begin(), out.end(), 1.0f);
      return;
    }
    // Standard deviation of the sum of four: sqrt(4 (2^32 - 1) / 12).
    const float unit = 1.0f / 37837.227f;
    const float scale = unit * deviation(weight);
    uint64_t counter =
        mix(keys[indexOf(weight)] +
            golden * static_cast<uint64_t>(expert * weight.rows() + row));
    fillNearNormal(counter, scale, out.data(), out.size());
  }

private:
  std::vector<uint64_t> keys;

  static float deviation(const LogicalWeight &weight) {
    if (weight.role == WeightRole::Embedding || weight.tied)
      return 1.0f;
    if (weight.role == WeightRole::Bias)
      return 0.02f;
    return std::sqrt(1.0f / static_cast<float>(weight.columns()));
  }
};

} // namespace

std::unique_ptr<WeightSource> moe::randomWeights(const ModelConfig &config,
                                                 uint64_t seed) {
  return std::make_unique<RandomWeights>(config, seed);
}
