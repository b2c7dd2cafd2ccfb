//===- ModelConfig.h - A validated Hugging Face config.json -----*- C++ -*-===//
//
// Part of moe-mlir. One struct for every supported architecture: what differs
// between them is a field here, so that the IR builder asks no model_type.
// Semantics are those of transformers 5.23.0.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_IMPORT_MODELCONFIG_H
#define MOE_IMPORT_MODELCONFIG_H

#include "moe/Import/ElementType.h"
#include "moe/Import/RotaryEmbedding.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moe {

enum class Architecture { Mixtral, Olmoe, Qwen2Moe, Qwen3Moe };

/// The model_type in config.json: "qwen3_moe".
llvm::StringRef architectureName(Architecture architecture);

/// RMSNorm of queries and keys, before RoPE.
enum class QKNorm {
  None,
  /// Over the whole projection, before it is split into heads (olmoe).
  FullWidth,
  /// Over each head, one weight [headDim] for all heads (qwen3_moe).
  PerHead
};

enum class RouterScore { Softmax };

/// scores = score(logits); the topK highest are chosen and weigh the experts.
struct RouterConfig {
  RouterScore score = RouterScore::Softmax;
  /// Divide the chosen weights by their sum.
  bool normTopkProb = false;

  bool operator==(const RouterConfig &other) const = default;
};

struct LayerConfig {
  /// A query at position p sees keys at p - slidingWindow + 1 .. p; 0: all.
  int64_t slidingWindow = 0;
  /// Whether the feed-forward part is a mixture of experts; else a dense MLP.
  bool sparse = true;
  /// Width of the MLP of a dense layer; 0 in a sparse one.
  int64_t denseIntermediate = 0;
  /// Sparse layers only; 0 in dense ones.
  int64_t experts = 0, topK = 0, expertIntermediate = 0;
  /// Width of the shared expert; 0: none.
  int64_t sharedIntermediate = 0;
  /// Shared expert's output times sigmoid(x . shared_gate).
  bool sharedGated = false;
  RouterConfig router;

  bool operator==(const LayerConfig &other) const;
};

struct ModelConfig {
  Architecture architecture = Architecture::Mixtral;
  int64_t vocab = 0, hidden = 0;
  int64_t heads = 0, kvHeads = 0, headDim = 0;
  int64_t maxPositions = 0;
  double rmsEps = 0;
  bool tieEmbeddings = false;
  bool qBias = false, kBias = false, vBias = false, oBias = false;
  /// Clamp q, k and v (after QKNorm, before RoPE) to [-clipQKV, clipQKV].
  std::optional<double> clipQKV;
  QKNorm qkNorm = QKNorm::None;
  RopeConfig rope;
  /// ropeInvFreq(rope, maxPositions) and ropeAttentionFactor(rope).
  std::vector<float> invFreq;
  double attentionScaling = 1.0;
  /// F32, BF16 or F16: of weights and activations. From ConfigOptions, else the
  /// config's dtype, else F32.
  ElementType weightType = ElementType::F32;
  /// Whether the config names a dtype (or ConfigOptions did).
  bool weightTypeDeclared = false;
  std::vector<LayerConfig> layers;
  /// Fields of config.json that nothing here reads and that are not known to be
  /// harmless; worth a remark.
  std::vector<std::string> unreadFields;

  int64_t queryWidth() const { return heads * headDim; }
  int64_t keyWidth() const { return kvHeads * headDim; }
};

struct ConfigOptions {
  /// Overrides the config's dtype.
  std::optional<ElementType> weightType;
};

/// Parses and validates the text of a config.json. `origin` names the file in
/// errors, which are one line: file, field, what was expected.
llvm::Expected<ModelConfig> parseModelConfig(llvm::StringRef text,
                                             llvm::StringRef origin,
                                             const ConfigOptions &options = {});

/// Reads `path`, a config.json or a directory that holds one.
llvm::Expected<ModelConfig> readModelConfig(llvm::StringRef path,
                                            const ConfigOptions &options = {});

} // namespace moe

#endif // MOE_IMPORT_MODELCONFIG_H
