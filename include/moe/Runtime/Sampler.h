//===- Sampler.h - Chooses the next token -----------------------*- C++ -*-===//
//
// Part of moe-mlir. Order and defaults are llama.cpp's: top-k, top-p, min-p,
// temperature, then a draw.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SAMPLER_H
#define MOE_RUNTIME_SAMPLER_H

#include "moe/Runtime/Result.h"

#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace moe::runtime {

struct SamplerOptions {
  /// 0 or less: greedy, ties to the lowest id.
  float temperature = 0.8f;
  /// Keep this many; 0 or less keeps all.
  int64_t topK = 40;
  /// Keep the fewest tokens whose probabilities reach this sum; 1 keeps all.
  float topP = 0.95f;
  /// Keep tokens at least this likely relative to the likeliest; 0 keeps all.
  float minP = 0.05f;
  uint32_t seed = 0;
};

class Sampler {
public:
  explicit Sampler(const SamplerOptions &options);

  /// Error: no logit is a number above -inf.
  Result<int32_t> sample(std::span<const float> logits);

private:
  struct Candidate {
    float logit;
    int32_t id;
  };
  void keepTopK();
  void keepTopP();
  void keepMinP();
  int32_t draw();

  SamplerOptions options;
  std::mt19937 random;
  std::vector<Candidate> candidates;
  std::vector<double> probabilities;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_SAMPLER_H
