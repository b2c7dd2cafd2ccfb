//===- ModelConfig.cpp - A validated Hugging Face config.json -------------===//
//
// Part of moe-mlir. Field names, defaults and their meaning: configuration_*.py
// and modeling_*.py of transformers 5.23.0. Sizes have no defaults here: a
// config without hidden_size is broken, not a 7B model.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/ModelConfig.h"

#include "ConfigFields.h"
#include "ConfigRope.h"
#include "ImportError.h"
#include "StrictJson.h"
#include "moe/Import/WeightMap.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace moe;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
using llvm::Twine;
using nlohmann::json;

namespace {

// With these, the elements of one weight fit in 2^58 and those of a model are
// checked against maxParameters.
constexpr int64_t maxVocab = int64_t(1) << 26;
constexpr int64_t maxWidth = int64_t(1) << 20;
constexpr int64_t maxLayers = 4096;
constexpr int64_t maxHeads = int64_t(1) << 14;
constexpr int64_t maxExperts = int64_t(1) << 16;
constexpr int64_t maxContext = int64_t(1) << 30;
constexpr double maxParameters = 0x1p50;

constexpr const char *supported = "mixtral, olmoe, qwen2_moe, qwen3_moe";

std::optional<Architecture> parseArchitecture(StringRef name) {
  return llvm::StringSwitch<std::optional<Architecture>>(name)
      .Case("mixtral", Architecture::Mixtral)
      .Case("olmoe", Architecture::Olmoe)
      .Case("qwen2_moe", Architecture::Qwen2Moe)
      .Case("qwen3_moe", Architecture::Qwen3Moe)
      .Default(std::nullopt);
}

bool isQwen(Architecture architecture) {
  return architecture == Architecture::Qwen2Moe ||
         architecture == Architecture::Qwen3Moe;
}

/// Reads one config.json into a ModelConfig.
class ConfigReader {
public:
  ConfigReader(const json &object, StringRef origin,
               const ConfigOptions &options)
      : fields(object, origin), origin(origin.str()), options(options) {}

  Expected<ModelConfig> read();

private:
  ConfigFields fields;
  std::string origin;
  const ConfigOptions &options;
  ModelConfig config;

  bool is(Architecture architecture) const {
    return config.architecture == architecture;
  }

  void readArchitecture();
  void readSizes();
  void readHeads();
  void readAttention();
  void readWeightType();
  void readLayers();
  LayerConfig readSparseLayer();
  std::vector<bool> sparseLayers(size_t count);
  std::vector<int64_t> slidingWindows(size_t count);
  std::vector<int64_t> qwen2Windows(size_t count);
  void checkLayerTypes(llvm::ArrayRef<int64_t> windows);
  void rejectForeignFields();
  void ignoreHarmlessFields();
};

void ConfigReader::readArchitecture() {
  std::string name = fields.string({"model_type"}, "");
  if (std::optional<Architecture> architecture = parseArchitecture(name)) {
    config.architecture = *architecture;
    return;
  }
  fields.expected("model_type",
                  "one of the supported architectures " + Twine(supported) +
                      ", found " + (name.empty() ? "nothing" : inQuotes(name)));
}

void ConfigReader::readSizes() {
  config.vocab = fields.integer("vocab_size", 1, maxVocab);
  config.hidden = fields.integer("hidden_size", 1, maxWidth);
  config.maxPositions =
      fields.integer("max_position_embeddings", 1, maxContext);
  config.rmsEps = fields.number("rms_norm_eps", 0, 1,
                                isQwen(config.architecture) ? 1e-6 : 1e-5);
  config.tieEmbeddings = fields.boolean("tie_word_embeddings", false);
  std::string activation = fields.string({"hidden_act"}, "silu");
  if (activation != "silu" && activation != "swish")
    fields.expected("hidden_act", "silu, found " + inQuotes(activation));
}

void ConfigReader::readHeads() {
  config.heads = fields.integer("num_attention_heads", 1, maxHeads);
  // olmoe: absent or null; mixtral: null; stands for num_attention_heads.
  std::optional<int64_t> allHeads;
  if (is(Architecture::Olmoe) ||
      (is(Architecture::Mixtral) && fields.contains("num_key_value_heads")))
    allHeads = config.heads;
  config.kvHeads = fields.integer("num_key_value_heads", 1, maxHeads, allHeads);
  if (config.heads % config.kvHeads != 0)
    fields.expected("num_key_value_heads",
                    "a divisor of num_attention_heads (" + Twine(config.heads) +
                        "), found " + Twine(config.kvHeads));

  bool derived = !fields.find("head_dim");
  int64_t quotient = config.hidden / config.heads;
  if ((derived || is(Architecture::Olmoe)) && config.hidden % config.heads != 0)
    fields.expected("hidden_size", "a multiple of num_attention_heads (" +
                                       Twine(config.heads) + "), found " +
                                       Twine(config.hidden));
  config.headDim = fields.integer("head_dim", 1, maxWidth, quotient);
  // olmoe's query norm has hidden_size weights, whatever head_dim says.
  if (is(Architecture::Olmoe) && config.headDim != quotient)
    fields.expected("head_dim", "hidden_size / num_attention_heads, " +
                                    Twine(quotient) + ", found " +
                                    Twine(config.headDim));
  if (config.headDim % 2 != 0)
    fields.expected(derived ? "hidden_size" : "head_dim",
                    "an even head size, found " + Twine(config.headDim));
  if (config.heads * config.headDim > 4 * maxWidth)
    fields.expected("head_dim", "at most " + Twine(4 * maxWidth) +
                                    " together with num_attention_heads");
}

void ConfigReader::readAttention() {
  bool all = false, qkv = false;
  if (is(Architecture::Olmoe) || is(Architecture::Qwen3Moe))
    all = fields.boolean("attention_bias", false);
  if (is(Architecture::Qwen2Moe))
    qkv = fields.boolean("qkv_bias", true);
  config.qBias = config.kBias = config.vBias = all || qkv;
  config.oBias = all;

  if (is(Architecture::Olmoe)) {
    config.qkNorm = QKNorm::FullWidth;
    config.clipQKV = fields.optionalNumber("clip_qkv", 0, 1e30);
  }
  if (is(Architecture::Qwen3Moe))
    config.qkNorm = QKNorm::PerHead;

  RopeDefaults defaults;
  defaults.theta = is(Architecture::Mixtral) ? 1e6 : 1e4;
  defaults.headDim = config.headDim;
  defaults.maxPositions = config.maxPositions;
  config.rope = readRope(fields, defaults, origin, config.unreadFields);
}

void ConfigReader::readWeightType() {
  std::string name = fields.string({"dtype", "torch_dtype"}, "auto");
  StringRef bare = name;
  bare.consume_front("torch.");
  std::optional<ElementType> type =
      llvm::StringSwitch<std::optional<ElementType>>(bare)
          .Case("float32", ElementType::F32)
          .Case("bfloat16", ElementType::BF16)
          .Case("float16", ElementType::F16)
          .Default(std::nullopt);
  if (options.weightType)
    type = options.weightType;
  else if (!type && bare != "auto")
    fields.expected("dtype",
                    "float32, bfloat16 or float16, found " + inQuotes(name));
  config.weightTypeDeclared = type.has_value();
  config.weightType = type.value_or(ElementType::F32);
}

/// All sparse layers are alike.
LayerConfig ConfigReader::readSparseLayer() {
  LayerConfig layer;
  layer.experts =
      fields.integer({"num_experts", "num_local_experts"}, 1, maxExperts);
  layer.topK = fields.integer("num_experts_per_tok", 1, maxExperts);
  if (layer.topK > layer.experts)
    fields.expected("num_experts_per_tok", "at most the number of experts, " +
                                               Twine(layer.experts) +
                                               ", found " + Twine(layer.topK));
  layer.expertIntermediate =
      fields.integer(isQwen(config.architecture) ? "moe_intermediate_size"
                                                 : "intermediate_size",
                     1, maxWidth);
  // MixtralTopKRouter always divides by the sum; it reads no flag.
  layer.router.normTopkProb =
      is(Architecture::Mixtral) || fields.boolean("norm_topk_prob", false);
  if (is(Architecture::Qwen2Moe)) {
    layer.sharedIntermediate =
        fields.integer("shared_expert_intermediate_size", 1, maxWidth);
    layer.sharedGated = true;
  }
  return layer;
}

/// Qwen2MoeDecoderLayer: sparse if (l + 1) % decoder_sparse_step == 0 and l is
/// not in mlp_only_layers.
std::vector<bool> ConfigReader::sparseLayers(size_t count) {
  std::vector<bool> sparse(count, true);
  if (!isQwen(config.architecture))
    return sparse;
  int64_t step = fields.integer("decoder_sparse_step", 1, INT32_MAX, 1);
  for (size_t layer = 0; layer < count; ++layer)
    sparse[layer] = (layer + 1) % step == 0;
  for (int64_t layer : fields.integers("mlp_only_layers", 0, count - 1))
    sparse[layer] = false;
  return sparse;
}

/// Qwen2MoeConfig: layer_types, else sliding where the layer is even and before
/// max_window_layers.
std::vector<int64_t> ConfigReader::qwen2Windows(size_t count) {
  std::vector<int64_t> windows(count, 0);
  bool use = fields.boolean("use_sliding_window", false);
  std::vector<std::string> types = fields.strings("layer_types");
  if (!use) {
    fields.ignore({"sliding_window", "max_window_layers"});
    if (llvm::is_contained(types, "sliding_attention"))
      fields.expected("layer_types",
                      "no sliding_attention where use_sliding_window is false");
    return windows;
  }
  int64_t window = fields.integer("sliding_window", 1, maxContext);
  int64_t end = fields.integer("max_window_layers", 0, INT32_MAX, 28);
  for (size_t layer = 0; layer < count; ++layer) {
    bool sliding = layer < types.size()
                       ? types[layer] == "sliding_attention"
                       : layer % 2 == 0 && int64_t(layer) < end;
    windows[layer] = sliding ? window : 0;
  }
  return windows;
}

std::vector<int64_t> ConfigReader::slidingWindows(size_t count) {
  int64_t window = 0;
  switch (config.architecture) {
  case Architecture::Mixtral:
    if (fields.find("sliding_window"))
      window = fields.integer("sliding_window", 1, maxContext);
    break;
  case Architecture::Olmoe:
    // Its mask ignores a window, its attention call passes one on.
    if (fields.find("sliding_window"))
      fields.expected("sliding_window", "null in an olmoe config");
    break;
  case Architecture::Qwen2Moe:
    return qwen2Windows(count);
  case Architecture::Qwen3Moe:
    fields.ignore({"sliding_window", "max_window_layers"});
    if (fields.boolean("use_sliding_window", false) &&
        fields.find("sliding_window"))
      window = fields.integer("sliding_window", 1, maxContext);
    break;
  }
  return std::vector<int64_t>(count, window);
}

/// layer_types decides in qwen2_moe; elsewhere nothing reads it, so it must say
/// what happens anyway.
void ConfigReader::checkLayerTypes(llvm::ArrayRef<int64_t> windows) {
  if (!fields.find("layer_types"))
    return;
  std::vector<std::string> types = fields.strings("layer_types");
  if (types.size() != windows.size())
    fields.expected("layer_types",
                    "num_hidden_layers (" + Twine(windows.size()) +
                        ") elements, found " + Twine(types.size()));
  for (size_t layer = 0; layer < std::min(types.size(), windows.size());
       ++layer) {
    StringRef type = types[layer];
    if (type != "full_attention" && type != "sliding_attention")
      fields.expected("layer_types", "full_attention or sliding_attention, "
                                     "found " +
                                         inQuotes(type));
    StringRef actual = windows[layer] ? "sliding_attention" : "full_attention";
    if (type != actual)
      fields.expected("layer_types", actual + " for layer " + Twine(layer) +
                                         ", found " + type);
  }
}

void ConfigReader::readLayers() {
  size_t count = fields.integer("num_hidden_layers", 1, maxLayers);
  LayerConfig sparseLayer = readSparseLayer();
  std::vector<bool> sparse = sparseLayers(count);
  std::vector<int64_t> windows = slidingWindows(count);
  checkLayerTypes(windows);
  int64_t denseWidth = 0;
  if (llvm::is_contained(sparse, false))
    denseWidth = fields.integer("intermediate_size", 1, maxWidth);
  fields.ignore({"intermediate_size"});

  for (size_t layer = 0; layer < count; ++layer) {
    LayerConfig result = sparseLayer;
    if (!sparse[layer]) {
      result = LayerConfig();
      result.sparse = false;
      result.denseIntermediate = denseWidth;
    }
    result.slidingWindow = windows[layer];
    config.layers.push_back(result);
  }
}

/// Fields of other architectures, or of features that are not supported, that
/// would change the result. A neutral value is accepted.
void ConfigReader::rejectForeignFields() {
  struct Foreign {
    const char *name;
    json neutral;
  };
  const Foreign foreign[] = {
      {"quantization_config", nullptr},
      {"quantization", nullptr},
      {"compression_config", nullptr},
      {"partial_rotary_factor", 1.0},
      {"rotary_dim", config.headDim},
      {"attn_logit_softcapping", nullptr},
      {"final_logit_softcapping", nullptr},
      {"logit_scale", 1.0},
      {"logits_scaling", 1.0},
      {"embedding_multiplier", 1.0},
      {"attention_multiplier", nullptr},
      {"residual_multiplier", 1.0},
      {"n_shared_experts", 0},
      {"num_shared_experts", 0},
      {"n_group", 1},
      {"topk_group", 1},
      {"routed_scaling_factor", 1.0},
      {"scoring_func", "softmax"},
      {"zero_expert_num", 0},
      {"first_k_dense_replace", 0},
      {"q_lora_rank", nullptr},
      {"kv_lora_rank", nullptr},
      {"mlp_bias", false},
      {"lm_head_bias", false},
      {"attention_chunk_size", nullptr},
      {"swiglu_limit", nullptr},
      {"no_rope_layers", nullptr},
      {"per_layer_config", nullptr},
      {"is_causal", true},
      {"is_encoder_decoder", false},
      {"add_cross_attention", false},
      {"use_bidirectional_attention", false},
      // Read for some architectures above; elsewhere transformers ignores them.
      {"attention_bias", false},
      {"qkv_bias", is(Architecture::Qwen2Moe)},
      {"clip_qkv", nullptr},
      {"norm_topk_prob", is(Architecture::Mixtral)},
      {"shared_expert_intermediate_size", 0},
  };
  for (const Foreign &field : foreign) {
    if (fields.wasRead(field.name))
      continue;
    const json *value = fields.find(field.name);
    if (value && *value != field.neutral)
      fields.expected(
          field.name,
          (field.neutral.is_null() ? "nothing" : valueText(field.neutral)) +
              " for model_type " + architectureName(config.architecture) +
              ", found " + valueText(*value));
  }
}

/// Training, generation and bookkeeping.
void ConfigReader::ignoreHarmlessFields() {
  fields.ignore({"architectures",
                 "transformers_version",
                 "_name_or_path",
                 "name_or_path",
                 "auto_map",
                 "bos_token_id",
                 "eos_token_id",
                 "pad_token_id",
                 "sep_token_id",
                 "use_cache",
                 "initializer_range",
                 "attention_dropout",
                 "hidden_dropout",
                 "output_router_logits",
                 "router_aux_loss_coef",
                 "router_jitter_noise",
                 "output_attentions",
                 "output_hidden_states",
                 "return_dict",
                 "pretraining_tp",
                 "max_window_layers",
                 "use_sliding_window",
                 "gradient_checkpointing",
                 "torchscript",
                 "chunk_size_feed_forward",
                 "id2label",
                 "label2id",
                 "attn_implementation",
                 "_attn_implementation",
                 "experts_implementation",
                 "original_max_position_embeddings"});
}

/// The product of any limits above may be huge; their sum over a model is not
/// allowed to be.
Error checkTotalSize(const ModelConfig &config, StringRef origin) {
  double total = 0;
  for (const LogicalWeight &weight : logicalWeights(config)) {
    double elements = 1;
    for (int64_t extent : weight.shape)
      elements *= static_cast<double>(extent);
    total += elements;
  }
  if (total <= maxParameters)
    return Error::success();
  return importError(origin + ": expected sizes of fewer than 2^50 parameters "
                              "together");
}

Expected<ModelConfig> ConfigReader::read() {
  readArchitecture();
  if (Error error = fields.takeError())
    return error;
  readSizes();
  readHeads();
  readAttention();
  readWeightType();
  readLayers();
  rejectForeignFields();
  ignoreHarmlessFields();
  if (Error error = fields.takeError())
    return error;
  if (Error error = checkTotalSize(config, origin))
    return error;
  llvm::append_range(config.unreadFields, fields.unread());
  config.invFreq = ropeInvFreq(config.rope, config.maxPositions);
  config.attentionScaling = ropeAttentionFactor(config.rope);
  return std::move(config);
}

} // namespace

StringRef moe::architectureName(Architecture architecture) {
  switch (architecture) {
  case Architecture::Mixtral:
    return "mixtral";
  case Architecture::Olmoe:
    return "olmoe";
  case Architecture::Qwen2Moe:
    return "qwen2_moe";
  case Architecture::Qwen3Moe:
    return "qwen3_moe";
  }
  return "";
}

bool LayerConfig::operator==(const LayerConfig &other) const = default;

Expected<ModelConfig> moe::parseModelConfig(StringRef text, StringRef origin,
                                            const ConfigOptions &options) {
  Expected<json> object = parseStrictJson(text, origin);
  if (!object)
    return object.takeError();
  return ConfigReader(*object, origin, options).read();
}

Expected<ModelConfig> moe::readModelConfig(StringRef path,
                                           const ConfigOptions &options) {
  llvm::SmallString<256> file(path);
  if (llvm::sys::fs::is_directory(path))
    llvm::sys::path::append(file, "config.json");
  auto buffer = llvm::MemoryBuffer::getFile(file);
  if (!buffer)
    return importError(file +
                       ": cannot be opened: " + buffer.getError().message());
  return parseModelConfig((*buffer)->getBuffer(), file, options);
}
