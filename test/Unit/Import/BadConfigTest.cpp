//===- BadConfigTest.cpp - config.json files that must be refused ---------===//
//
// Part of moe-mlir. Each row: a model type, a change of its small config (a
// JSON merge patch: null removes a field), and the one line that must come out.
//
//===----------------------------------------------------------------------===//

#include "TestCheckpoint.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::test;
using nlohmann::json;

namespace {

struct BadConfigCase {
  const char *name, *modelType, *patch, *expected;
};

const BadConfigCase cases[] = {
    {"NoModelType", "olmoe", R"({"model_type":null})",
     "model_type: expected one of the supported architectures mixtral, olmoe, "
     "qwen2_moe, qwen3_moe, found nothing"},
    {"OtherModelType", "olmoe", R"({"model_type":"deepseek_v3"})",
     "qwen2_moe, qwen3_moe, found \"deepseek_v3\""},
    {"ModelTypeNotString", "olmoe", R"({"model_type":3})",
     "model_type: expected a string, found 3"},
    {"NoHidden", "mixtral", R"({"hidden_size":null})",
     "hidden_size: expected an integer between 1 and 1048576, found nothing"},
    {"ZeroHidden", "mixtral", R"({"hidden_size":0})", "hidden_size: expected"},
    {"NegativeHidden", "mixtral", R"({"hidden_size":-8})", "found -8"},
    {"FractionalHidden", "mixtral", R"({"hidden_size":8.5})", "found 8.5"},
    {"HiddenString", "mixtral", R"({"hidden_size":"8"})", "found \"8\""},
    {"HiddenArray", "mixtral", R"({"hidden_size":[8]})", "found a JSON array"},
    {"HiddenHuge", "mixtral", R"({"hidden_size":18446744073709551615})",
     "hidden_size: expected an integer between 1 and 1048576"},
    {"HiddenNotMultiple", "mixtral", R"({"hidden_size":9})",
     "hidden_size: expected a multiple of num_attention_heads (2), found 9"},
    {"OddHead", "mixtral", R"({"hidden_size":6})",
     "hidden_size: expected an even head size, found 3"},
    {"OddHeadDim", "qwen3_moe", R"({"head_dim":5})",
     "head_dim: expected an even head size, found 5"},
    {"OlmoeHeadDim", "olmoe", R"({"head_dim":8})",
     "head_dim: expected hidden_size / num_attention_heads, 4, found 8"},
    {"NoVocab", "qwen3_moe", R"({"vocab_size":null})", "vocab_size: expected"},
    {"NoLayers", "qwen3_moe", R"({"num_hidden_layers":0})",
     "num_hidden_layers: expected an integer between 1 and 4096, found 0"},
    {"NoPositions", "qwen3_moe", R"({"max_position_embeddings":null})",
     "max_position_embeddings: expected"},
    {"ZeroHeads", "qwen3_moe", R"({"num_attention_heads":0})",
     "num_attention_heads: expected"},
    {"HeadsNotDivided", "mixtral", R"({"num_key_value_heads":3})",
     "num_key_value_heads: expected a divisor of num_attention_heads (2), "
     "found 3"},
    {"NoKeyHeads", "qwen2_moe", R"({"num_key_value_heads":null})",
     "num_key_value_heads: expected"},
    {"TopKOverExperts", "olmoe", R"({"num_experts_per_tok":4})",
     "num_experts_per_tok: expected at most the number of experts, 3, found 4"},
    {"ZeroTopK", "olmoe", R"({"num_experts_per_tok":0})",
     "num_experts_per_tok: expected"},
    {"NoExperts", "olmoe", R"({"num_experts":null})",
     "num_experts: expected an integer between 1 and 65536, found nothing"},
    {"ExpertsDisagree", "olmoe", R"({"num_local_experts":4})",
     "num_local_experts: expected the value of num_experts, 3, found 4"},
    {"NoExpertWidth", "qwen3_moe", R"({"moe_intermediate_size":null})",
     "moe_intermediate_size: expected"},
    {"NoSharedWidth", "qwen2_moe",
     R"({"shared_expert_intermediate_size":null})",
     "shared_expert_intermediate_size: expected"},
    {"Gelu", "olmoe", R"({"hidden_act":"gelu"})",
     "hidden_act: expected silu, found \"gelu\""},
    {"EpsZero", "olmoe", R"({"rms_norm_eps":0})",
     "rms_norm_eps: expected a number above 0 and at most 1, found 0"},
    {"EpsString", "olmoe", R"({"rms_norm_eps":"1e-5"})", "rms_norm_eps"},
    {"TieNotBool", "olmoe", R"({"tie_word_embeddings":1})",
     "tie_word_embeddings: expected true or false, found 1"},
    {"ClipNegative", "olmoe", R"({"clip_qkv":-1})", "clip_qkv: expected"},
    {"ClipInMixtral", "mixtral", R"({"clip_qkv":8})",
     "clip_qkv: expected nothing for model_type mixtral, found 8"},
    {"BiasInMixtral", "mixtral", R"({"attention_bias":true})",
     "attention_bias: expected false for model_type mixtral, found true"},
    {"NoNormInMixtral", "mixtral", R"({"norm_topk_prob":false})",
     "norm_topk_prob: expected true for model_type mixtral"},
    {"SharedInOlmoe", "olmoe", R"({"shared_expert_intermediate_size":8})",
     "shared_expert_intermediate_size: expected 0 for model_type olmoe"},
    {"Quantised", "olmoe", R"({"quantization_config":{"bits":4}})",
     "quantization_config: expected nothing for model_type olmoe, found a JSON "
     "object"},
    {"SigmoidScores", "olmoe", R"({"scoring_func":"sigmoid"})",
     "scoring_func: expected \"softmax\""},
    {"Softcap", "olmoe", R"({"final_logit_softcapping":30.0})",
     "final_logit_softcapping"},
    {"PartialRotary", "olmoe", R"({"partial_rotary_factor":0.5})",
     "partial_rotary_factor: expected 1.0"},
    {"Type8Bit", "olmoe", R"({"torch_dtype":"float8_e4m3fn"})",
     "dtype: expected float32, bfloat16 or float16, found \"float8_e4m3fn\""},
    {"TypesDisagree", "olmoe",
     R"({"torch_dtype":"float32","dtype":"bfloat16"})",
     "torch_dtype: expected the value of dtype, \"bfloat16\", found "
     "\"float32\""},
    {"OlmoeWindow", "olmoe", R"({"sliding_window":8})",
     "sliding_window: expected null in an olmoe config"},
    {"ZeroWindow", "mixtral", R"({"sliding_window":0})",
     "sliding_window: expected"},
    {"WindowMissing", "qwen2_moe", R"({"use_sliding_window":true})",
     "sliding_window: expected an integer"},
    {"SlidingLayerWithoutWindow", "qwen2_moe",
     R"({"layer_types":["sliding_attention","full_attention"]})",
     "layer_types: expected no sliding_attention where use_sliding_window is "
     "false"},
    {"TooFewLayerTypes", "qwen2_moe", R"({"layer_types":["full_attention"]})",
     "layer_types: expected num_hidden_layers (2) elements, found 1"},
    {"LinearAttention", "qwen2_moe",
     R"({"layer_types":["full_attention","linear_attention"]})",
     "layer_types: expected full_attention or sliding_attention"},
    {"LayerTypesDisagree", "qwen3_moe",
     R"({"use_sliding_window":true,"sliding_window":4,)"
     R"("layer_types":["sliding_attention","full_attention"]})",
     "layer_types: expected sliding_attention for layer 1, found "
     "full_attention"},
    {"LayerTypesNotStrings", "qwen2_moe", R"({"layer_types":[1,2]})",
     "layer_types: expected an array of strings"},
    {"SparseStepZero", "qwen3_moe", R"({"decoder_sparse_step":0})",
     "decoder_sparse_step: expected"},
    {"DenseLayerOutOfRange", "qwen3_moe", R"({"mlp_only_layers":[2]})",
     "mlp_only_layers: expected an integer between 0 and 1 in each element, "
     "found 2"},
    {"DenseWidthMissing", "qwen3_moe",
     R"({"mlp_only_layers":[0],"intermediate_size":null})",
     "intermediate_size: expected"},
    {"RopeNotObject", "olmoe", R"({"rope_scaling":"yarn"})",
     "rope_scaling: expected an object, found \"yarn\""},
    {"RopeTypeUnknown", "olmoe", R"({"rope_scaling":{"type":"longrope"}})",
     "rope_scaling.rope_type: expected default, linear, dynamic, yarn or "
     "llama3, found \"longrope\""},
    {"RopeTypesDisagree", "olmoe",
     R"({"rope_scaling":{"type":"mrope","rope_type":"default"}})",
     "rope_scaling.type: expected the value of rope_type"},
    {"RopeMrope", "olmoe",
     R"({"rope_scaling":{"type":"default","mrope_section":[1,1]}})",
     "rope_scaling.mrope_section: expected nothing"},
    {"RopeNoFactor", "olmoe", R"({"rope_scaling":{"type":"linear"}})",
     "rope_scaling.factor: expected a number above 1e-06"},
    {"RopeZeroFactor", "olmoe",
     R"({"rope_parameters":{"rope_type":"yarn","factor":0}})",
     "rope_parameters.factor: expected a number above 1e-06"},
    {"RopeVanishingFactor", "olmoe",
     R"({"rope_scaling":{"type":"yarn","factor":1e-300}})",
     "rope_scaling.factor: expected a number above 1e-06"},
    {"RopeNegativeMscale", "olmoe",
     R"({"rope_scaling":{"type":"yarn","factor":4,"mscale":-0.5}})",
     "rope_scaling.mscale: expected a number that is not negative"},
    {"RopeThetaOne", "olmoe", R"({"rope_theta":1.0})",
     "rope_theta: expected a number above 1"},
    {"RopeThetaInside", "olmoe",
     R"({"rope_parameters":{"rope_type":"default","rope_theta":"x"}})",
     "rope_parameters.rope_theta: expected a number"},
    {"RopeLlama3Bands", "olmoe",
     R"({"rope_scaling":{"rope_type":"llama3","factor":8,)"
     R"("low_freq_factor":4,"high_freq_factor":4}})",
     "rope_scaling.high_freq_factor: expected a number above low_freq_factor"},
    {"RopeOriginalDisagrees", "olmoe",
     R"({"original_max_position_embeddings":16,"rope_scaling":)"
     R"({"type":"yarn","factor":4,"original_max_position_embeddings":32}})",
     "original_max_position_embeddings: expected the value inside"},
    {"RopeTwice", "olmoe",
     R"({"rope_scaling":{"type":"linear","factor":2},)"
     R"("rope_parameters":{"rope_type":"default"}})",
     "rope_scaling: expected the value of rope_parameters"},
    {"RopePartial", "olmoe",
     R"({"rope_parameters":{"rope_type":"default",)"
     R"("partial_rotary_factor":0.5}})",
     "rope_parameters.partial_rotary_factor: expected 1"},
    {"DynamicTinyHead", "qwen3_moe",
     R"({"head_dim":2,"rope_scaling":{"type":"dynamic","factor":2}})",
     "rope_scaling.rope_type: expected another type than dynamic"},
    {"TooLargeTogether", "qwen3_moe",
     R"({"hidden_size":1048576,"moe_intermediate_size":1048576,)"
     R"("num_experts":65536})",
     "expected sizes of fewer than 2^50 parameters"},
};

class BadConfig : public testing::TestWithParam<BadConfigCase> {};

TEST_P(BadConfig, IsOneLine) {
  const BadConfigCase &bad = GetParam();
  json config = smallConfig(bad.modelType);
  ASSERT_EQ(messageOf(parseModelConfig(config.dump(), "config.json")), "");
  config.merge_patch(json::parse(bad.patch));
  std::string message =
      messageOf(parseModelConfig(config.dump(), "config.json"));
  EXPECT_NE(message.find(bad.expected), std::string::npos) << message;
  EXPECT_EQ(message.rfind("config.json: ", 0), 0u) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(, BadConfig, testing::ValuesIn(cases),
                         [](const auto &info) { return info.param.name; });

TEST(BadConfigText, NotJson) {
  EXPECT_EQ(messageOf(parseModelConfig("{\"a\": ]", "config.json")),
            "config.json: expected valid JSON, found an error at byte 7");
}

TEST(BadConfigText, FieldTwice) {
  EXPECT_EQ(messageOf(parseModelConfig("{\"a\":1,\"a\":2}", "config.json")),
            "config.json: field \"a\" occurs twice");
}

TEST(BadConfigText, NoFile) {
  EXPECT_EQ(messageOf(readModelConfig("/nonexistent")),
            "/nonexistent: cannot be opened: No such file or directory");
}

} // namespace
