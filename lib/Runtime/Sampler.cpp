//===- Sampler.cpp - Chooses the next token -------------------------------===//
//
// Part of moe-mlir. Follows llama.cpp's src/llama-sampling.cpp.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/Sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace moe::runtime {

Sampler::Sampler(const SamplerOptions &options)
    : options(options), random(options.seed) {}

/// The highest logit, ties to the lowest id; -1 when none is above -inf.
static int32_t greedy(std::span<const float> logits) {
  int32_t best = -1;
  float bestLogit = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > bestLogit) {
      bestLogit = logits[i];
      best = int32_t(i);
    }
  return best;
}

void Sampler::keepTopK() {
  auto before = [](const Candidate &a, const Candidate &b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  size_t count = candidates.size();
  if (options.topK > 0)
    count = std::min(count, size_t(options.topK));
  std::partial_sort(candidates.begin(), candidates.begin() + count,
                    candidates.end(), before);
  candidates.resize(count);
}

void Sampler::keepTopP() {
  if (options.topP >= 1.0f)
    return;
  double total = 0;
  for (const Candidate &candidate : candidates)
    total += std::exp(double(candidate.logit) - candidates[0].logit);
  double sum = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    sum += std::exp(double(candidates[i].logit) - candidates[0].logit) / total;
    if (sum >= options.topP) {
      candidates.resize(i + 1);
      return;
    }
  }
}

void Sampler::keepMinP() {
  if (options.minP <= 0.0f)
    return;
  // A p above 1 would keep nothing; the likeliest token always stays.
  float least = candidates[0].logit + std::min(std::log(options.minP), 0.0f);
  size_t count = 1;
  while (count < candidates.size() && candidates[count].logit >= least)
    ++count;
  candidates.resize(count);
}

int32_t Sampler::draw() {
  probabilities.clear();
  double total = 0;
  for (const Candidate &candidate : candidates) {
    double p = std::exp((double(candidate.logit) - candidates[0].logit) /
                        options.temperature);
    probabilities.push_back(p);
    total += p;
  }
  // 53 random bits: a uniform number in [0, 1) that is the same with every
  // standard library.
  uint64_t high = random(), low = random();
  double uniform = double(((high << 32) | low) >> 11) * 0x1p-53;
  double rest = uniform * total;
  for (size_t i = 0; i < candidates.size(); ++i) {
    rest -= probabilities[i];
    if (rest < 0)
      return candidates[i].id;
  }
  return candidates.back().id;
}

Result<int32_t> Sampler::sample(std::span<const float> logits) {
  int32_t best = greedy(logits);
  if (best < 0)
    return fail("the model computed no finite logit");
  // Differences to +inf are no numbers: such a token wins outright.
  if (options.temperature <= 0 || std::isinf(logits[best]))
    return best;
  candidates.clear();
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > -std::numeric_limits<float>::infinity())
      candidates.push_back({logits[i], int32_t(i)});
  keepTopK();
  keepTopP();
  keepMinP();
  return draw();
}

} // namespace moe::runtime
