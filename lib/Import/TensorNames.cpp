//===- TensorNames.cpp - What checkpoints call the weights ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "TensorNames.h"

#include "llvm/ADT/StringSwitch.h"

using namespace moe;
using llvm::StringRef;

StringRef moe::weightKind(const LogicalWeight &weight) {
  StringRef name = weight.name;
  if (weight.layer >= 0)
    name = name.split('.').second.split('.').second; // layers.L.
  return name;
}

std::string moe::tensorName(const ModelConfig &config,
                            const LogicalWeight &weight, bool fused) {
  StringRef kind = weightKind(weight);
  // MixtralSparseMoeBlock was `block_sparse_moe` when checkpoints were
  // published.
  if (kind == "router" && config.architecture == Architecture::Mixtral &&
      !fused)
    return "block_sparse_moe.gate.weight";
  return llvm::StringSwitch<std::string>(kind)
      .Case("embed", "embed_tokens.weight")
      .Case("final_norm", "norm.weight")
      .Case("head", "lm_head.weight")
      .Case("input_norm", "input_layernorm.weight")
      .Case("post_norm", "post_attention_layernorm.weight")
      .Case("attn.q", "self_attn.q_proj.weight")
      .Case("attn.k", "self_attn.k_proj.weight")
      .Case("attn.v", "self_attn.v_proj.weight")
      .Case("attn.o", "self_attn.o_proj.weight")
      .Case("attn.q_bias", "self_attn.q_proj.bias")
      .Case("attn.k_bias", "self_attn.k_proj.bias")
      .Case("attn.v_bias", "self_attn.v_proj.bias")
      .Case("attn.o_bias", "self_attn.o_proj.bias")
      .Case("attn.q_norm", "self_attn.q_norm.weight")
      .Case("attn.k_norm", "self_attn.k_norm.weight")
      .Case("router", "mlp.gate.weight")
      .Case("shared.gate", "mlp.shared_expert.gate_proj.weight")
      .Case("shared.up", "mlp.shared_expert.up_proj.weight")
      .Case("shared.down", "mlp.shared_expert.down_proj.weight")
      .Case("shared_gate", "mlp.shared_expert_gate.weight")
      .Case("mlp.gate", "mlp.gate_proj.weight")
      .Case("mlp.up", "mlp.up_proj.weight")
      .Case("mlp.down", "mlp.down_proj.weight");
}

std::string moe::expertTensorName(const ModelConfig &config,
                                  const LogicalWeight &weight, int64_t expert) {
  StringRef kind = weightKind(weight);
  bool mixtral = config.architecture == Architecture::Mixtral;
  std::string leaf = llvm::StringSwitch<std::string>(kind)
                         .Case("experts.gate", mixtral ? "w1" : "gate_proj")
                         .Case("experts.up", mixtral ? "w3" : "up_proj")
                         .Case("experts.down", mixtral ? "w2" : "down_proj");
  return std::string(mixtral ? "block_sparse_moe" : "mlp") + ".experts." +
         std::to_string(expert) + "." + leaf + ".weight";
}

std::string moe::fusedTensorName(const LogicalWeight &weight) {
  return weightKind(weight) == "experts.down" ? "mlp.experts.down_proj"
                                              : "mlp.experts.gate_up_proj";
}
