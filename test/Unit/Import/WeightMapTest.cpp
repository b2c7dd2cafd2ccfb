//===- WeightMapTest.cpp - Logical weights and their sources --------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "TestCheckpoint.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace moe;
using namespace moe::test;
using nlohmann::json;

namespace {

std::unique_ptr<WeightSource> mapped(const ModelConfig &config,
                                     const std::string &path) {
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(path);
  if (!checkpoint) {
    ADD_FAILURE() << llvm::toString(checkpoint.takeError());
    return nullptr;
  }
  auto source = mapWeights(config, std::move(*checkpoint));
  if (source)
    return std::move(*source);
  ADD_FAILURE() << llvm::toString(source.takeError());
  return nullptr;
}

std::unique_ptr<WeightSource> mapped(const ModelConfig &config,
                                     const TestTensors &tensors) {
  TemporaryDirectory directory; // an open file outlives its directory
  directory.write("model.safetensors", safetensorsBytes(tensors));
  return mapped(config, directory.path());
}

std::vector<float> row(const WeightSource &source, const char *name,
                       int64_t expert, int64_t index) {
  const LogicalWeight *weight = source.find(name);
  if (!weight) {
    ADD_FAILURE() << "no weight " << name;
    return {};
  }
  std::vector<float> values(weight->columns());
  source.readRow(*weight, expert, index, values);
  return values;
}

/// Every value of a source, weight by weight.
std::vector<float> everything(const WeightSource &source) {
  std::vector<float> values;
  for (const LogicalWeight &weight : source.weights())
    for (int64_t expert = 0; expert < weight.experts(); ++expert)
      for (int64_t index = 0; index < weight.rows(); ++index) {
        std::vector<float> one(weight.columns());
        source.readRow(weight, expert, index, one);
        values.insert(values.end(), one.begin(), one.end());
      }
  return values;
}

/// Replaces the experts of one layer by the fused tensors.
void fuseExperts(TestTensors &tensors, const ModelConfig &config, int64_t layer,
                 float first) {
  std::string prefix = "model.layers." + std::to_string(layer) + ".";
  std::erase_if(tensors, [&](const auto &item) {
    return item.first.rfind(prefix, 0) == 0 &&
           item.first.find(".experts.") != std::string::npos;
  });
  const LayerConfig &settings = config.layers[layer];
  int64_t experts = settings.experts, width = settings.expertIntermediate;
  tensors[prefix + "mlp.experts.gate_up_proj"] = {
      {experts, 2 * width, config.hidden}, first};
  tensors[prefix + "mlp.experts.down_proj"] = {{experts, config.hidden, width},
                                               first + 10000};
}

TEST(LogicalWeights, NamesAndShapes) {
  std::string text;
  for (const LogicalWeight &weight :
       logicalWeights(parsed(smallConfig("qwen2_moe")))) {
    if (weight.layer == 1)
      continue;
    text += weight.name + " [";
    for (int64_t extent : weight.shape)
      text += std::to_string(extent) + " ";
    text.back() = ']';
    text += "\n";
  }
  EXPECT_EQ(text, "embed [10 8]\n"
                  "layers.0.input_norm [8]\n"
                  "layers.0.attn.q [8 8]\n"
                  "layers.0.attn.q_bias [8]\n"
                  "layers.0.attn.k [4 8]\n"
                  "layers.0.attn.k_bias [4]\n"
                  "layers.0.attn.v [4 8]\n"
                  "layers.0.attn.v_bias [4]\n"
                  "layers.0.attn.o [8 8]\n"
                  "layers.0.post_norm [8]\n"
                  "layers.0.router [3 8]\n"
                  "layers.0.experts.gate [3 4 8]\n"
                  "layers.0.experts.up [3 4 8]\n"
                  "layers.0.experts.down [3 8 4]\n"
                  "layers.0.shared.gate [5 8]\n"
                  "layers.0.shared.up [5 8]\n"
                  "layers.0.shared.down [8 5]\n"
                  "layers.0.shared_gate [1 8]\n"
                  "final_norm [8]\n"
                  "head [10 8]\n");
}

/// Fields as in the published configs; totals as their model pages state them.
struct PublishedModel {
  const char *name, *config;
  int64_t total;
};
const PublishedModel publishedModels[] = {
    {"Mixtral8x7B",
     R"({"model_type":"mixtral","vocab_size":32000,"hidden_size":4096,
         "num_hidden_layers":32,"num_attention_heads":32,
         "num_key_value_heads":8,"intermediate_size":14336,
         "num_local_experts":8,"num_experts_per_tok":2,"sliding_window":null,
         "max_position_embeddings":32768,"rope_theta":1000000.0,
         "rms_norm_eps":1e-05,"torch_dtype":"bfloat16"})",
     46702792704},
    {"Olmoe1B7B",
     R"({"model_type":"olmoe","vocab_size":50304,"hidden_size":2048,
         "num_hidden_layers":16,"num_attention_heads":16,
         "num_key_value_heads":16,"intermediate_size":1024,"num_experts":64,
         "num_experts_per_tok":8,"norm_topk_prob":false,"clip_qkv":null,
         "max_position_embeddings":4096,"rope_scaling":null,
         "rope_theta":10000.0,"torch_dtype":"bfloat16"})",
     6919161856},
    {"Qwen15MoeA27B",
     R"({"model_type":"qwen2_moe","vocab_size":151936,"hidden_size":2048,
         "num_hidden_layers":24,"num_attention_heads":16,
         "num_key_value_heads":16,"intermediate_size":5632,
         "moe_intermediate_size":1408,"shared_expert_intermediate_size":5632,
         "num_experts":60,"num_experts_per_tok":4,"decoder_sparse_step":1,
         "max_position_embeddings":8192,"sliding_window":32768,
         "max_window_layers":21,"use_sliding_window":false})",
     14315784192},
    {"Qwen330BA3B",
     R"({"model_type":"qwen3_moe","vocab_size":151936,"hidden_size":2048,
         "num_hidden_layers":48,"num_attention_heads":32,"head_dim":128,
         "num_key_value_heads":4,"intermediate_size":6144,
         "moe_intermediate_size":768,"num_experts":128,
         "num_experts_per_tok":8,"norm_topk_prob":true,"mlp_only_layers":[],
         "max_position_embeddings":40960,"max_window_layers":48,
         "sliding_window":null,"use_sliding_window":false})",
     30532122624},
};

class Published : public testing::TestWithParam<PublishedModel> {};

TEST_P(Published, ParameterCount) {
  ModelConfig config = parsed(json::parse(GetParam().config));
  EXPECT_EQ(config.unreadFields, std::vector<std::string>());
  EXPECT_EQ(countParameters(config).total, GetParam().total);
}

INSTANTIATE_TEST_SUITE_P(, Published, testing::ValuesIn(publishedModels),
                         [](const auto &info) { return info.param.name; });

TEST(LogicalWeights, ActiveParametersOfOlmoe) {
  ModelConfig config = parsed(json::parse(publishedModels[1].config));
  EXPECT_EQ(countParameters(config).active, 1282017280);
}

TEST(MapWeights, Goldens) {
  for (const char *name : {"mixtral",
                           "mixtral-bf16",
                           "mixtral-fused",
                           "mixtral-window",
                           "olmoe",
                           "olmoe-bf16",
                           "olmoe-f16",
                           "olmoe-fused",
                           "olmoe-norm-topk",
                           "olmoe-odd",
                           "olmoe-odd-bf16",
                           "qwen2_moe",
                           "qwen2_moe-bf16",
                           "qwen2_moe-sharded",
                           "qwen2_moe-window",
                           "qwen3_moe",
                           "qwen3_moe-bf16",
                           "qwen3_moe-bias",
                           "qwen3_moe-linear",
                           "qwen3_moe-llama3",
                           "qwen3_moe-tied",
                           "qwen3_moe-yarn"}) {
    SCOPED_TRACE(name);
    llvm::Expected<ModelConfig> config = readModelConfig(goldenPath(name));
    ASSERT_TRUE(bool(config)) << llvm::toString(config.takeError());
    std::unique_ptr<WeightSource> source = mapped(*config, goldenPath(name));
    ASSERT_NE(source, nullptr);
    const LogicalWeight &embed = source->weights().front();
    EXPECT_EQ(source->storedType(embed, 0), config->weightType);
  }
}

/// The same weights were drawn for both: only the names on disk differ.
TEST(MapWeights, FusedGoldenHasTheValuesOfPublishedOne) {
  llvm::Expected<ModelConfig> fused =
      readModelConfig(goldenPath("mixtral-fused"));
  llvm::Expected<ModelConfig> published =
      readModelConfig(goldenPath("mixtral-window"));
  ASSERT_TRUE(fused && published);
  EXPECT_EQ(everything(*mapped(*fused, goldenPath("mixtral-fused"))),
            everything(*mapped(*published, goldenPath("mixtral-window"))));
}

class EveryArchitecture : public testing::TestWithParam<const char *> {};

TEST_P(EveryArchitecture, ReadsPublishedNames) {
  ModelConfig config = parsed(smallConfig(GetParam()));
  TestTensors tensors = tensorsOf(config);
  std::unique_ptr<WeightSource> source = mapped(config, tensors);
  ASSERT_NE(source, nullptr);
  bool mixtral = config.architecture == Architecture::Mixtral;
  std::string up = mixtral
                       ? "model.layers.1.block_sparse_moe.experts.2.w3.weight"
                       : "model.layers.1.mlp.experts.2.up_proj.weight";
  // Row 3 of [4,8] or [6,8].
  EXPECT_EQ(row(*source, "layers.1.experts.up", 2, 3)[5],
            tensors[up].first + 3 * 8 + 5);
  std::string down = mixtral
                         ? "model.layers.0.block_sparse_moe.experts.1.w2.weight"
                         : "model.layers.0.mlp.experts.1.down_proj.weight";
  int64_t width = config.layers[0].expertIntermediate;
  EXPECT_EQ(row(*source, "layers.0.experts.down", 1, 7)[2],
            tensors[down].first + 7 * width + 2);
}

TEST_P(EveryArchitecture, ReadsFusedNames) {
  ModelConfig config = parsed(smallConfig(GetParam()));
  TestTensors tensors = tensorsOf(config);
  fuseExperts(tensors, config, 1, 0.0f);
  std::unique_ptr<WeightSource> source = mapped(config, tensors);
  ASSERT_NE(source, nullptr);
  int64_t width = config.layers[0].expertIntermediate, hidden = 8;
  // Expert 2 of gate_up [3,2F,8]: F gate rows, then F up rows.
  EXPECT_EQ(row(*source, "layers.1.experts.gate", 2, 1)[0],
            (2 * 2 * width + 1) * hidden);
  EXPECT_EQ(row(*source, "layers.1.experts.up", 2, 1)[0],
            (2 * 2 * width + width + 1) * hidden);
  EXPECT_EQ(row(*source, "layers.1.experts.down", 2, 1)[0],
            10000 + (2 * hidden + 1) * width);
}

TEST_P(EveryArchitecture, PrefixIsOptional) {
  ModelConfig config = parsed(smallConfig(GetParam()));
  TestTensors prefixed = tensorsOf(config), bare;
  for (const auto &[name, tensor] : prefixed)
    bare[name.rfind("model.", 0) == 0 ? name.substr(6) : name] = tensor;
  std::unique_ptr<WeightSource> a = mapped(config, prefixed);
  std::unique_ptr<WeightSource> b = mapped(config, bare);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(everything(*a), everything(*b));
}

INSTANTIATE_TEST_SUITE_P(, EveryArchitecture,
                         testing::Values("mixtral", "olmoe", "qwen2_moe",
                                         "qwen3_moe"),
                         [](const auto &info) { return info.param; });

TEST(MapWeights, MixtralRouterUnderBothNames) {
  ModelConfig config = parsed(smallConfig("mixtral"));
  TestTensors tensors = tensorsOf(config);
  auto node = tensors.extract("model.layers.1.block_sparse_moe.gate.weight");
  ASSERT_TRUE(bool(node));
  node.key() = "model.layers.1.mlp.gate.weight";
  float first = node.mapped().first;
  tensors.insert(std::move(node));
  fuseExperts(tensors, config, 1, 0.0f);
  EXPECT_EQ(row(*mapped(config, tensors), "layers.1.router", 0, 0)[0], first);
}

TEST(MapWeights, TiedHeadReadsTheEmbedding) {
  json object = smallConfig("olmoe");
  object["tie_word_embeddings"] = true;
  ModelConfig config = parsed(object);
  TestTensors tensors = tensorsOf(config);
  ASSERT_FALSE(tensors.count("lm_head.weight"));
  std::unique_ptr<WeightSource> source = mapped(config, tensors);
  ASSERT_NE(source, nullptr);
  EXPECT_TRUE(source->find("head")->tied);
  EXPECT_EQ(row(*source, "head", 0, 3), row(*source, "embed", 0, 3));

  // A copy of the embedding in the file is no contradiction.
  tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"];
  EXPECT_NE(mapped(config, tensors), nullptr);
}

TEST(MapWeights, SkipsDerivedBuffers) {
  ModelConfig config = parsed(smallConfig("olmoe"));
  TestTensors tensors = tensorsOf(config);
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {{2}};
  EXPECT_NE(mapped(config, tensors), nullptr);
}

TEST(MapWeights, RowPointersAreContiguous) {
  ModelConfig config = parsed(smallConfig("olmoe"));
  std::unique_ptr<WeightSource> source = mapped(config, tensorsOf(config));
  ASSERT_NE(source, nullptr);
  const LogicalWeight &down = *source->find("layers.0.experts.down");
  std::optional<RawRow> first = source->rowPointer(down, 1, 0);
  std::optional<RawRow> third = source->rowPointer(down, 1, 2);
  ASSERT_TRUE(first && third);
  EXPECT_EQ(static_cast<const char *>(third->data) -
                static_cast<const char *>(first->data),
            2 * 4 * down.columns());
  std::vector<float> values(down.columns());
  widenToF32(third->data, third->type, values);
  EXPECT_EQ(values, row(*source, "layers.0.experts.down", 1, 2));
}

TEST(MapWeights, CopyOfAWeightWorks) {
  ModelConfig config = parsed(smallConfig("olmoe"));
  std::unique_ptr<WeightSource> source = mapped(config, tensorsOf(config));
  ASSERT_NE(source, nullptr);
  LogicalWeight copy = *source->find("final_norm");
  std::vector<float> values(copy.columns());
  source->readRow(copy, 0, 0, values);
  EXPECT_EQ(values, row(*source, "final_norm", 0, 0));
}

} // namespace
