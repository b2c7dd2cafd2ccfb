//===- RotaryEmbedding.cpp - RoPE frequencies -----------------------------===//
//
// Part of moe-mlir. Follows modeling_rope_utils.py of transformers 5.23.0.
// There `number op tensor` rounds the number to f32 first, and `number /
// tensor` is reciprocal(tensor) * number; both are kept here. Python numbers
// are doubles.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/RotaryEmbedding.h"

#include <algorithm>
#include <cmath>
#include <numbers>

// A fused multiply-add would round once where PyTorch rounds twice.
#pragma STDC FP_CONTRACT OFF

using namespace moe;

namespace {

/// f32 power, correctly rounded but for rare double rounding.
float powF32(float base, float exponent) {
  return static_cast<float>(
      std::pow(static_cast<double>(base), static_cast<double>(exponent)));
}

/// base ** (arange(0, dim, 2) / dim)
std::vector<float> positionFrequencies(float base, int64_t dim) {
  std::vector<float> result(dim / 2);
  for (int64_t i = 0; i < dim / 2; ++i)
    result[i] =
        powF32(base, static_cast<float>(2 * i) / static_cast<float>(dim));
  return result;
}

std::vector<float> defaultInvFreq(float base, int64_t dim) {
  std::vector<float> result = positionFrequencies(base, dim);
  for (float &value : result)
    value = 1.0f / value;
  return result;
}

/// _compute_linear_scaling_rope_parameters
std::vector<float> linearInvFreq(const RopeConfig &rope) {
  std::vector<float> result =
      defaultInvFreq(static_cast<float>(rope.theta), rope.headDim);
  for (float &value : result)
    value /= static_cast<float>(rope.factor);
  return result;
}

/// The base of _compute_dynamic_ntk_parameters. Up to maxPositions transformers
/// computes it once, in doubles; beyond, the length is an integer tensor and
/// every step rounds to f32.
float dynamicBase(const RopeConfig &rope, int64_t contextLength) {
  double exponent =
      static_cast<double>(rope.headDim) / static_cast<double>(rope.headDim - 2);
  if (contextLength <= rope.maxPositions) {
    double positions = static_cast<double>(rope.maxPositions);
    double stretch = rope.factor * positions / positions - (rope.factor - 1);
    return static_cast<float>(rope.theta * std::pow(stretch, exponent));
  }
  float scaled =
      static_cast<float>(rope.factor) * static_cast<float>(contextLength);
  float stretch = scaled / static_cast<float>(rope.maxPositions) -
                  static_cast<float>(rope.factor - 1);
  return static_cast<float>(rope.theta) *
         powF32(stretch, static_cast<float>(exponent));
}

/// _compute_yarn_parameters: the dimension that turns `rotations` times within
/// the original context.
double yarnCorrectionDim(const RopeConfig &rope, double rotations) {
  return static_cast<double>(rope.headDim) *
         std::log(static_cast<double>(rope.originalMaxPositions) /
                  (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(rope.theta));
}

std::vector<float> yarnInvFreq(const RopeConfig &rope) {
  double low = yarnCorrectionDim(rope, rope.betaFast);
  double high = yarnCorrectionDim(rope, rope.betaSlow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rope.headDim - 1));
  if (low == high)
    high += 0.001; // as transformers does, against a division by zero

  std::vector<float> frequencies =
      positionFrequencies(static_cast<float>(rope.theta), rope.headDim);
  std::vector<float> result(frequencies.size());
  for (size_t i = 0; i < result.size(); ++i) {
    float extrapolation = 1.0f / frequencies[i];
    float interpolation =
        1.0f / (static_cast<float>(rope.factor) * frequencies[i]);
    float ramp = (static_cast<float>(i) - static_cast<float>(low)) /
                 static_cast<float>(high - low);
    float extrapolated = 1.0f - std::clamp(ramp, 0.0f, 1.0f);
    float left = interpolation * (1.0f - extrapolated);
    float right = extrapolation * extrapolated;
    result[i] = left + right;
  }
  return result;
}

/// _compute_llama3_parameters
std::vector<float> llama3InvFreq(const RopeConfig &rope) {
  std::vector<float> result =
      defaultInvFreq(static_cast<float>(rope.theta), rope.headDim);
  double positions = static_cast<double>(rope.originalMaxPositions);
  float factor = static_cast<float>(rope.factor);
  float lowWavelength = static_cast<float>(positions / rope.lowFreqFactor);
  float highWavelength = static_cast<float>(positions / rope.highFreqFactor);
  for (float &frequency : result) {
    float wavelength =
        (1.0f / frequency) * static_cast<float>(2 * std::numbers::pi);
    if (wavelength < highWavelength)
      continue;
    if (wavelength > lowWavelength) {
      frequency /= factor;
      continue;
    }
    float turns = (1.0f / wavelength) * static_cast<float>(positions);
    float smooth = (turns - static_cast<float>(rope.lowFreqFactor)) /
                   static_cast<float>(rope.highFreqFactor - rope.lowFreqFactor);
    float left = (1.0f - smooth) * frequency / factor;
    float right = smooth * frequency;
    frequency = left + right;
  }
  return result;
}

double yarnMscale(double scale, double mscale) {
  return scale <= 1 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0;
}

} // namespace

std::vector<float> moe::ropeInvFreq(const RopeConfig &rope,
                                    int64_t contextLength) {
  switch (rope.type) {
  case RopeType::Default:
    return defaultInvFreq(static_cast<float>(rope.theta), rope.headDim);
  case RopeType::Linear:
    return linearInvFreq(rope);
  case RopeType::Dynamic:
    return defaultInvFreq(dynamicBase(rope, contextLength), rope.headDim);
  case RopeType::Yarn:
    return yarnInvFreq(rope);
  case RopeType::Llama3:
    return llama3InvFreq(rope);
  }
  return {};
}

double moe::ropeAttentionFactor(const RopeConfig &rope) {
  if (rope.type != RopeType::Yarn)
    return 1.0;
  if (rope.attentionFactor)
    return *rope.attentionFactor;
  if (rope.mscale.value_or(0) != 0 && rope.mscaleAllDim.value_or(0) != 0)
    return yarnMscale(rope.factor, *rope.mscale) /
           yarnMscale(rope.factor, *rope.mscaleAllDim);
  return yarnMscale(rope.factor, 1);
}
