//===- TestCheckpoint.cpp - Checkpoints made by tests ---------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "TestCheckpoint.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

using namespace moe;
using nlohmann::json;

std::string test::safetensorsBytes(const std::string &header,
                                   const std::string &data) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i)
    bytes[i] = static_cast<char>(uint64_t(header.size()) >> (8 * i));
  return bytes + header + data;
}

std::string test::safetensorsBytes(const TestTensors &tensors) {
  json header = json::object();
  std::string data;
  for (const auto &[name, tensor] : tensors) {
    size_t elements = 1;
    for (int64_t extent : tensor.shape)
      elements *= extent;
    size_t width = elementBytes(*parseElementName(tensor.dtype));
    size_t begin = data.size();
    data.resize(begin + elements * width);
    for (size_t i = 0; tensor.dtype == "F32" && i < elements; ++i) {
      float value = tensor.first + static_cast<float>(i);
      std::memcpy(&data[begin + 4 * i], &value, 4);
    }
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {begin, data.size()}}};
  }
  return safetensorsBytes(header.dump(), data);
}

namespace {

/// Published names, written out by hand from what transformers saves.
struct NameRule {
  const char *logical, *published;
};
constexpr NameRule rules[] = {
    {"embed", "model.embed_tokens.weight"},
    {"head", "lm_head.weight"},
    {"final_norm", "model.norm.weight"},
    {"input_norm", "input_layernorm.weight"},
    {"post_norm", "post_attention_layernorm.weight"},
    {"attn.q", "self_attn.q_proj.weight"},
    {"attn.k", "self_attn.k_proj.weight"},
    {"attn.v", "self_attn.v_proj.weight"},
    {"attn.o", "self_attn.o_proj.weight"},
    {"attn.q_bias", "self_attn.q_proj.bias"},
    {"attn.k_bias", "self_attn.k_proj.bias"},
    {"attn.v_bias", "self_attn.v_proj.bias"},
    {"attn.o_bias", "self_attn.o_proj.bias"},
    {"attn.q_norm", "self_attn.q_norm.weight"},
    {"attn.k_norm", "self_attn.k_norm.weight"},
    {"router", "mlp.gate.weight"},
    {"shared.gate", "mlp.shared_expert.gate_proj.weight"},
    {"shared.up", "mlp.shared_expert.up_proj.weight"},
    {"shared.down", "mlp.shared_expert.down_proj.weight"},
    {"shared_gate", "mlp.shared_expert_gate.weight"},
    {"mlp.gate", "mlp.gate_proj.weight"},
    {"mlp.up", "mlp.up_proj.weight"},
    {"mlp.down", "mlp.down_proj.weight"},
    {"experts.gate", "mlp.experts.%.gate_proj.weight"},
    {"experts.up", "mlp.experts.%.up_proj.weight"},
    {"experts.down", "mlp.experts.%.down_proj.weight"}};
constexpr NameRule mixtralRules[] = {
    {"router", "block_sparse_moe.gate.weight"},
    {"experts.gate", "block_sparse_moe.experts.%.w1.weight"},
    {"experts.up", "block_sparse_moe.experts.%.w3.weight"},
    {"experts.down", "block_sparse_moe.experts.%.w2.weight"}};

std::string publishedName(const ModelConfig &config,
                          const LogicalWeight &weight) {
  std::string kind = weight.name, prefix;
  if (weight.layer >= 0) {
    prefix = "layers." + std::to_string(weight.layer) + ".";
    kind = kind.substr(prefix.size());
    prefix = "model." + prefix;
  }
  if (config.architecture == Architecture::Mixtral)
    for (const NameRule &rule : mixtralRules)
      if (kind == rule.logical)
        return prefix + rule.published;
  for (const NameRule &rule : rules)
    if (kind == rule.logical)
      return prefix + rule.published;
  return "";
}

} // namespace

test::TestTensors test::tensorsOf(const ModelConfig &config) {
  TestTensors tensors;
  float first = 0;
  for (const LogicalWeight &weight : logicalWeights(config)) {
    std::string name = publishedName(config, weight);
    size_t place = name.find('%');
    std::vector<int64_t> shape(weight.shape.begin(), weight.shape.end());
    if (place == std::string::npos) {
      if (!weight.tied)
        tensors[name] = {shape, first += 1000};
      continue;
    }
    shape.erase(shape.begin());
    for (int64_t expert = 0; expert < weight.experts(); ++expert) {
      std::string own = name;
      own.replace(place, 1, std::to_string(expert));
      tensors[own] = {shape, first += 1000};
    }
  }
  return tensors;
}

json test::smallConfig(const std::string &modelType) {
  json config = {{"model_type", modelType},  {"vocab_size", 10},
                 {"hidden_size", 8},         {"num_hidden_layers", 2},
                 {"num_attention_heads", 2}, {"num_key_value_heads", 1},
                 {"intermediate_size", 6},   {"max_position_embeddings", 64},
                 {"num_experts_per_tok", 2}};
  config[modelType == "mixtral" ? "num_local_experts" : "num_experts"] = 3;
  if (modelType == "qwen2_moe" || modelType == "qwen3_moe")
    config["moe_intermediate_size"] = 4;
  if (modelType == "qwen2_moe")
    config["shared_expert_intermediate_size"] = 5;
  return config;
}

ModelConfig test::parsed(const json &config) {
  llvm::Expected<ModelConfig> result =
      parseModelConfig(config.dump(), "config.json");
  if (result)
    return std::move(*result);
  ADD_FAILURE() << llvm::toString(result.takeError());
  return {};
}

test::TemporaryDirectory::TemporaryDirectory() {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "moe-test-XXXXXX").string();
  if (!mkdtemp(pattern.data()))
    ADD_FAILURE() << "cannot make " << pattern;
  directory = pattern;
}

test::TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
}

std::string test::TemporaryDirectory::write(const std::string &name,
                                            const std::string &bytes) const {
  std::filesystem::path file = directory / name;
  std::ofstream(file, std::ios::binary) << bytes;
  return file.string();
}
