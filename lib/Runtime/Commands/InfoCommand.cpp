//===- InfoCommand.cpp - model info: the model card -----------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "../CpuFeatures.h"
#include "../Join.h"
#include "Commands.h"
#include "Output.h"
#include "moe/Runtime/Payload.h"

#include <nlohmann/json.hpp>

namespace moe::runtime {

using json = nlohmann::ordered_json;

namespace {
struct Memory {
  int64_t weights, kvContext, kv;
  KVChoice choice;
};
} // namespace

static Result<Memory> measure(const CommandContext &context) {
  const Payload &payload = context.payload();
  Result<int64_t> positions =
      chooseContext(payload.model, context.options.session.context);
  if (!positions)
    return passOn(positions);
  Result<int64_t> kv =
      kvBytes(payload.step(), context.options.session.kv, *positions);
  if (!kv)
    return passOn(kv);
  const PayloadSection &weights =
      payload.sections.find(kWeightsSection)->second;
  return Memory{int64_t(weights.bytes.size()), *positions, *kv,
                context.options.session.kv};
}

static json describe(const TargetInfo &target) {
  return {{"triple", target.triple},
          {"cpu", target.cpu},
          {"features", target.features},
          {"recipe", target.recipe},
          {"activation_type", target.activationType},
          {"attention_type", target.attentionType},
          {"missing", missingFeatures(target.features)}};
}

static std::string asJson(const Payload &payload, const Memory &memory) {
  const ModelInfo &model = payload.model;
  json card;
  card["name"] = model.name;
  card["architecture"] = model.architecture;
  card["parameters_total"] = model.parametersTotal;
  card["parameters_active"] = model.parametersActive;
  card["layers"] = model.layers;
  card["moe_layers"] = model.moeLayers;
  card["experts"] = model.experts;
  card["top_k"] = model.topK;
  card["hidden"] = model.hidden;
  card["vocab"] = model.vocab;
  card["heads"] = model.heads;
  card["kv_heads"] = model.kvHeads;
  card["head_dim"] = model.headDim;
  card["max_context"] = model.maxContext;
  card["sliding_window"] = model.slidingWindow;
  card["weight_type"] = model.weightType;
  card["activation_type"] = payload.target().activationType;
  card["attention_type"] = payload.target().attentionType;
  for (const KVType &type : payload.step().kvTypes)
    card["kv_types"].push_back(type.name);
  card["kv_type_k"] = payload.step().kvTypes[memory.choice.keys].name;
  card["kv_type_v"] = payload.step().kvTypes[memory.choice.values].name;
  card["quantisation"] = model.quantisation;
  card["exempt"] = model.exempt;
  card["chunk"] = payload.step().chunk;
  card["memory"] = {{"weights_bytes", memory.weights},
                    {"kv_context", memory.kvContext},
                    {"kv_bytes", memory.kv}};
  card["target"] = describe(payload.target());
  for (const CodeVersion &version : payload.versions)
    card["targets"].push_back(describe(version.target));
  bool runs = missingFeatures(payload.target().features).empty();
  card["runs"] = runs ? json(payload.target().cpu) : json();
  card["source_hash"] = model.sourceHash;
  card["header_hash"] = hashText(payload.headerHash);
  for (const auto &[name, section] : payload.sections)
    card["sections"][name] = {{"bytes", section.bytes.size()},
                              {"hash", hashText(section.hash)}};
  return card.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

/// "KV bf16 (of bf16, f16, q8_0)": what is cached, and what could be.
static std::string kvText(std::span<const KVType> types, KVChoice choice) {
  std::string text = "KV " + types[choice.keys].name;
  if (choice.values != choice.keys)
    text += " and " + types[choice.values].name;
  if (types.size() == 1)
    return text;
  std::vector<std::string> names;
  for (const KVType &type : types)
    names.push_back(type.name);
  return text + " (of " + join(names) + ")";
}

static std::string asText(const Payload &payload, const Memory &memory) {
  const ModelInfo &model = payload.model;
  std::string text;
  auto row = [&](std::string name, const std::string &value) {
    name.resize(std::max(name.size(), size_t(14)), ' ');
    text += name + "  " + value + "\n";
  };
  auto number = [](int64_t value) { return std::to_string(value); };
  row("model", model.name + " (" + model.architecture + ")");
  row("parameters", countText(model.parametersTotal) + " total, " +
                        countText(model.parametersActive) + " active");
  row("layers", number(model.layers) + ", of which MoE " +
                    number(model.moeLayers));
  row("experts", number(model.experts) + ", top-k " + number(model.topK));
  row("hidden size", number(model.hidden));
  row("attention", number(model.heads) + " heads, " + number(model.kvHeads) +
                       " KV heads of " + number(model.headDim) +
                       (model.slidingWindow
                            ? ", window " + number(model.slidingWindow)
                            : ""));
  row("vocabulary", number(model.vocab));
  row("context", number(model.maxContext));
  row("types", "weights " + model.weightType + ", activations " +
                   payload.target().activationType + ", attention " +
                   payload.target().attentionType + ", " +
                   kvText(payload.step().kvTypes, memory.choice));
  row("quantisation", model.quantisation);
  row("memory", "weights " + sizeText(memory.weights) + ", KV " +
                    sizeText(memory.kv) + " for a context of " +
                    number(memory.kvContext));
  for (size_t i = 0; i < payload.versions.size(); ++i) {
    const TargetInfo &target = payload.versions[i].target;
    std::vector<std::string> missing = missingFeatures(target.features);
    row("target", target.triple + ", " + target.cpu + ", recipe " +
                      target.recipe +
                      (!missing.empty() ? ", lacking here: " + join(missing)
                       : i == payload.chosen ? ", runs here"
                                             : ""));
    row("features", target.features.empty() ? "none" : join(target.features));
  }
  row("exempt", (model.exempt.empty() ? "nothing" : join(model.exempt)) +
                    " from the routing contract");
  row("source hash", model.sourceHash);
  row("header hash", hashText(payload.headerHash));
  for (const auto &[name, section] : payload.sections)
    row("section", name + ", " + sizeText(int64_t(section.bytes.size())) +
                       ", hash " + hashText(section.hash));
  return text;
}

Result<int> infoCommand(const CommandContext &context) {
  Result<Memory> memory = measure(context);
  if (!memory)
    return passOn(memory);
  Result<bool> written =
      writeOut(context.options.json ? asJson(context.payload(), *memory)
                                    : asText(context.payload(), *memory));
  if (!written)
    return passOn(written);
  return 0;
}

} // namespace moe::runtime
