//===- WeightMap.cpp - The logical weights of a model ---------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/WeightMap.h"

#include <cassert>
#include <functional>

using namespace moe;
using llvm::StringRef;

namespace {

/// Appends weights in the order in which a step reads them.
class WeightLister {
public:
  explicit WeightLister(const ModelConfig &config) : config(config) {}

  std::vector<LogicalWeight> list() {
    add(WeightRole::Embedding, "embed", {config.vocab, config.hidden});
    for (const LayerConfig &settings : config.layers) {
      ++layer;
      addAttention();
      add(WeightRole::Norm, "post_norm", {config.hidden});
      if (settings.sparse)
        addExperts(settings);
      else
        addMlp("mlp", settings.denseIntermediate);
    }
    layer = -1;
    add(WeightRole::Norm, "final_norm", {config.hidden});
    add(WeightRole::Head, "head", {config.vocab, config.hidden});
    weights.back().tied = config.tieEmbeddings;
    return std::move(weights);
  }

private:
  const ModelConfig &config;
  int64_t layer = -1;
  std::vector<LogicalWeight> weights;

  void add(WeightRole role, const std::string &name,
           std::initializer_list<int64_t> shape) {
    LogicalWeight weight;
    weight.name =
        layer < 0 ? name : "layers." + std::to_string(layer) + "." + name;
    weight.role = role;
    weight.shape = shape;
    weight.layer = layer;
    weights.push_back(std::move(weight));
  }

  void addProjection(const std::string &name, int64_t rows, int64_t columns,
                     bool bias) {
    add(WeightRole::Matrix, "attn." + name, {rows, columns});
    if (bias)
      add(WeightRole::Bias, "attn." + name + "_bias", {rows});
  }

  void addAttention() {
    int64_t queries = config.queryWidth(), keys = config.keyWidth();
    add(WeightRole::Norm, "input_norm", {config.hidden});
    addProjection("q", queries, config.hidden, config.qBias);
    addProjection("k", keys, config.hidden, config.kBias);
    addProjection("v", keys, config.hidden, config.vBias);
    if (config.qkNorm != QKNorm::None) {
      bool perHead = config.qkNorm == QKNorm::PerHead;
      add(WeightRole::Norm, "attn.q_norm",
          {perHead ? config.headDim : queries});
      add(WeightRole::Norm, "attn.k_norm", {perHead ? config.headDim : keys});
    }
    addProjection("o", config.hidden, queries, config.oBias);
  }

  void addMlp(const std::string &name, int64_t width) {
    add(WeightRole::Matrix, name + ".gate", {width, config.hidden});
    add(WeightRole::Matrix, name + ".up", {width, config.hidden});
    add(WeightRole::Matrix, name + ".down", {config.hidden, width});
  }

  void addExperts(const LayerConfig &settings) {
    int64_t experts = settings.experts, width = settings.expertIntermediate;
    add(WeightRole::Router, "router", {experts, config.hidden});
    add(WeightRole::ExpertMatrix, "experts.gate",
        {experts, width, config.hidden});
    add(WeightRole::ExpertMatrix, "experts.up",
        {experts, width, config.hidden});
    add(WeightRole::ExpertMatrix, "experts.down",
        {experts, config.hidden, width});
    if (settings.sharedIntermediate == 0)
      return;
    addMlp("shared", settings.sharedIntermediate);
    if (settings.sharedGated)
      add(WeightRole::Matrix, "shared_gate", {1, config.hidden});
  }
};

} // namespace

std::vector<LogicalWeight> moe::logicalWeights(const ModelConfig &config) {
  return WeightLister(config).list();
}

ParameterCount moe::countParameters(const ModelConfig &config) {
  ParameterCount count;
  for (const LogicalWeight &weight : logicalWeights(config)) {
    if (weight.tied)
      continue;
    int64_t elements = weight.elements();
    count.total += elements;
    if (weight.role == WeightRole::ExpertMatrix)
      elements = elements / weight.experts() * config.layers[weight.layer].topK;
    count.active += elements;
  }
  return count;
}

WeightSource::WeightSource(std::vector<LogicalWeight> weights)
    : logical(std::move(weights)) {
  for (size_t i = 0; i < logical.size(); ++i)
    byName[logical[i].name] = i;
}

WeightSource::~WeightSource() = default;

const LogicalWeight *WeightSource::find(StringRef name) const {
  auto it = byName.find(name);
  return it == byName.end() ? nullptr : &logical[it->second];
}

size_t WeightSource::indexOf(const LogicalWeight &weight) const {
  const LogicalWeight *first = logical.data();
  // A copy of a weight is found by its name.
  if (std::less<>()(&weight, first) ||
      !std::less<>()(&weight, first + logical.size()))
    return byName.at(weight.name);
  return &weight - first;
}
