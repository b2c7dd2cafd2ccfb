//===- RotaryEmbedding.h - RoPE parameters and frequencies ------*- C++ -*-===//
//
// Part of moe-mlir. What a config says about rotary embeddings, and the inverse
// frequencies that transformers 5.23.0 (modeling_rope_utils.py) derives from
// it, in the same f32 operations in the same order.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_IMPORT_ROTARYEMBEDDING_H
#define MOE_IMPORT_ROTARYEMBEDDING_H

#include <cstdint>
#include <optional>
#include <vector>

namespace moe {

enum class RopeType { Default, Linear, Dynamic, Yarn, Llama3 };

/// Rotary embedding of the first and second half of a head ("rotate_half"): all
/// of a head's dimensions are rotated, dimension i with i + headDim/2.
struct RopeConfig {
  RopeType type = RopeType::Default;
  int64_t headDim = 0;
  /// Of the config; what `dynamic` compares the context length with.
  int64_t maxPositions = 0;
  double theta = 10000.0;
  /// Linear, Dynamic, Yarn, Llama3.
  double factor = 1.0;
  /// Yarn, Llama3: positions that the model was trained on before scaling.
  int64_t originalMaxPositions = 0;
  /// Yarn, as given. See ropeAttentionFactor.
  std::optional<double> attentionFactor;
  std::optional<double> mscale, mscaleAllDim;
  double betaFast = 32.0, betaSlow = 1.0;
  bool truncate = true;
  /// Llama3.
  double lowFreqFactor = 1.0, highFreqFactor = 4.0;
};

/// headDim/2 inverse frequencies. An angle is the f32 product of position and
/// frequency. Only RopeType::Dynamic depends on `contextLength`, the declared
/// context length of a session (docs: transformers takes the length of a call).
std::vector<float> ropeInvFreq(const RopeConfig &rope, int64_t contextLength);

/// Multiplies cos and sin; 1 but for Yarn.
double ropeAttentionFactor(const RopeConfig &rope);

} // namespace moe

#endif // MOE_IMPORT_ROTARYEMBEDDING_H
