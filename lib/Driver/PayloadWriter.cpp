//===- PayloadWriter.cpp - Writes a model's payload -----------------------===//
//
// Part of moe-mlir. The header holds hashes of what follows it, so it is
// written last, into a place whose size was found with hashes of zero: hashes
// are always 16 digits.
//
//===----------------------------------------------------------------------===//

#include "PayloadWriter.h"

#include "Diagnostics.h"
#include "Progress.h"
#include "WeightsWriter.h"

#include "moe/Runtime/Payload.h"

#include "llvm/Support/FormatVariadic.h"
#include <nlohmann/json.hpp>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace mlir;
using namespace moec;
using ::moe::runtime::alignToPayload;
using nlohmann::ordered_json;

namespace {
struct Section {
  std::string name;
  uint64_t offset = 0, bytes = 0, hash = 0;
};
} // namespace

static std::string hex(uint64_t value) {
  return llvm::formatv("{0:x-16}", value).str();
}

static std::string typeName(::moe::ElementType type) {
  return StringRef(::moe::elementName(type)).lower();
}

static ordered_json modelCard(const PayloadInputs &inputs) {
  const ::moe::ModelConfig &config = inputs.config;
  ::moe::ParameterCount count = ::moe::countParameters(config);
  int64_t experts = 0, topK = 0, sparse = 0, window = 0;
  for (const ::moe::LayerConfig &layer : config.layers) {
    experts = std::max(experts, layer.experts);
    topK = std::max(topK, layer.topK);
    window = std::max(window, layer.slidingWindow);
    sparse += layer.sparse;
  }
  ordered_json card;
  card["name"] = inputs.modelName;
  card["architecture"] = ::moe::architectureName(config.architecture).str();
  card["layers"] = config.layers.size();
  card["moe_layers"] = sparse;
  card["hidden"] = config.hidden;
  card["vocab"] = config.vocab;
  card["experts"] = experts;
  card["top_k"] = topK;
  card["heads"] = config.heads;
  card["kv_heads"] = config.kvHeads;
  card["head_dim"] = config.headDim;
  card["max_context"] = config.maxPositions;
  card["parameters_total"] = count.total;
  card["parameters_active"] = count.active;
  card["weight_type"] = typeName(config.weightType);
  card["sliding_window"] = window;
  card["source_hash"] = hex(0);
  card["exempt"] = ordered_json::array();
  card["quantisation"] =
      inputs.weightFormat
          ? mlir::lm::stringifyFormat(*inputs.weightFormat).str()
          : "none";
  return card;
}

static ordered_json stepDescription(const PayloadInputs &inputs,
                                    const StepSizes &sizes) {
  ordered_json step;
  step["chunk"] = inputs.chunk;
  step["arena_bytes_per_token"] = sizes.arenaPerToken;
  step["arena_bytes_fixed"] = sizes.arenaFixed;
  step["arena_bytes_per_thread"] = sizes.arenaPerThread;
  for (auto [type, bytes] :
       llvm::zip_equal(inputs.cacheTypes, sizes.statePerPosition))
    step["kv_types"].push_back({{"name", ::moe::cacheTypeName(type).str()},
                                {"bytes_per_position", bytes}});
  step["kv_block"] = 64;
  ordered_json records = ordered_json::array();
  for (auto [i, layer] : llvm::enumerate(inputs.config.layers))
    if (layer.sparse)
      records.push_back({{"layer", i}, {"top_k", layer.topK}});
  step["records"] = records;
  return step;
}

static ordered_json describe(const ::moe::runtime::StepPart &part) {
  ordered_json json = {{"op", part.op}, {"name", part.name}};
  if (!part.recipe.empty())
    json["recipe"] = part.recipe;
  if (part.lastRows)
    json["last_rows"] = true;
  std::pair<const char *, int64_t> numbers[] = {
      {"bytes", part.bytes},
      {"row_bytes", part.rowBytes},
      {"expert_bytes", part.expertBytes},
      {"row_flops", part.rowFlops},
      {"position_flops", part.positionFlops},
      {"window", part.window}};
  for (auto [name, number] : numbers)
    if (number)
      json[name] = number;
  if (!part.cacheBytes.empty())
    json["cache_bytes"] = part.cacheBytes;
  return json;
}

static ordered_json describe(const ::moe::runtime::StepParts &parts) {
  ordered_json bodies = ordered_json::array(), order = ordered_json::array();
  for (const std::vector<::moe::runtime::StepPart> &body : parts.bodies) {
    ordered_json list = ordered_json::array();
    for (const ::moe::runtime::StepPart &part : body)
      list.push_back(describe(part));
    bodies.push_back(std::move(list));
  }
  for (const ::moe::runtime::StepParts::Run &run : parts.order)
    order.push_back({run.body, run.layer});
  return {{"bodies", std::move(bodies)}, {"order", std::move(order)}};
}

static ordered_json targetDescription(const PayloadInputs &inputs,
                                      const CodeVersion &version) {
  return {{"triple", version.machine.triple},
          {"cpu", version.machine.cpu},
          {"features", version.machine.required},
          {"recipe", recipesOf(inputs.config.weightType, inputs.weightFormat,
                               version.attention, version.machine.kernels)},
          {"activation_type", typeName(version.activation)},
          {"attention_type", typeName(version.attention)},
          {"step", stepDescription(inputs, version.sizes)},
          {"parts", describe(version.parts)}};
}

uint64_t moec::layoutHash(const PayloadInputs &inputs,
                          const CodeVersion &version) {
  ordered_json all = {{"model", modelCard(inputs)},
                      {"target", targetDescription(inputs, version)},
                      {"weights", version.sizes.weights}};
  all["model"].erase("name");
  for (const WeightPlacement &placement : version.placements)
    all["placements"].push_back({placement.name, placement.offset});
  std::string text = all.dump();
  return XXH3_64bits(text.data(), text.size());
}

static std::string renderHeader(const PayloadInputs &inputs,
                                ArrayRef<Section> sections) {
  ordered_json header;
  header["format"] = ::moe::runtime::kPayloadFormat;
  header["model"] = modelCard(inputs);
  header["model"]["source_hash"] = hex(sections.front().hash);
  for (const CodeVersion &version : inputs.versions) {
    ordered_json target = targetDescription(inputs, version);
    target["layout"] = hex(version.layout);
    header["targets"].push_back(target);
  }
  for (const Section &section : sections)
    header["sections"][section.name] = {{"offset", section.offset},
                                        {"bytes", section.bytes},
                                        {"hash", hex(section.hash)}};
  return header.dump();
}

static std::vector<Section> placeSections(const PayloadInputs &inputs) {
  std::vector<Section> sections(1);
  sections[0].name = ::moe::runtime::kWeightsSection;
  sections[0].bytes = inputs.versions.front().sizes.weights;
  for (const PayloadFile &file : inputs.files) {
    const Section &last = sections.back();
    Section section;
    section.name = file.name;
    section.offset = alignToPayload(last.offset + last.bytes);
    section.bytes = file.bytes.size();
    section.hash = XXH3_64bits(file.bytes.data(), file.bytes.size());
    sections.push_back(section);
  }
  return sections;
}

static uint64_t dataOffset(const PayloadInputs &inputs,
                           ArrayRef<Section> sections) {
  return alignToPayload(sizeof(::moe::runtime::PayloadPrefix) +
                        renderHeader(inputs, sections).size());
}

uint64_t moec::payloadBytes(const PayloadInputs &inputs) {
  std::vector<Section> sections = placeSections(inputs);
  return dataOffset(inputs, sections) + sections.back().offset +
         sections.back().bytes;
}

llvm::Error moec::writePayload(const PayloadInputs &inputs, StringRef path,
                               int fd, uint64_t offset) {
  OpenFile output{path, fd};
  std::vector<Section> sections = placeSections(inputs);
  uint64_t data = dataOffset(inputs, sections);

  XXH3_state_t hash;
  XXH3_64bits_reset(&hash);
  uint64_t written = 0;
  WeightsWriter weights(output, offset + data,
                        isPastCache(sections[0].bytes, machineMemory()));
  Progress progress("weights", sections[0].bytes);
  auto sink = [&](llvm::ArrayRef<char> bytes) -> llvm::Error {
    // Beside the copy of the same bytes and the wait for the disk; of a few
    // bytes a thread would cost more.
    std::future<void> hashed = std::async(
        bytes.size() < (1 << 16) ? std::launch::deferred : kThreadIfPossible,
        [&] { XXH3_64bits_update(&hash, bytes.data(), bytes.size()); });
    written += bytes.size();
    progress.report(written);
    llvm::Error error = weights.append(bytes);
    hashed.get();
    return error;
  };
  if (llvm::Error error =
          packWeights(inputs.versions.front().placements, inputs.weights,
                      inputs.config, inputs.threads, sink))
    return error;
  std::vector<char> padding(sections[0].bytes - written, 0);
  if (llvm::Error error = sink(padding))
    return error;
  if (llvm::Error error = weights.finish())
    return error;
  sections[0].hash = XXH3_64bits_digest(&hash);

  for (auto [i, file] : llvm::enumerate(inputs.files))
    if (llvm::Error error =
            output.writeAt({file.bytes.data(), file.bytes.size()},
                           offset + data + sections[i + 1].offset))
      return error;
  std::string header = renderHeader(inputs, sections);
  ::moe::runtime::PayloadPrefix prefix = {};
  std::memcpy(prefix.magic, ::moe::runtime::kPayloadMagic, 8);
  prefix.headerBytes = header.size();
  prefix.headerHash = XXH3_64bits(header.data(), header.size());
  prefix.payloadBytes = payloadBytes(inputs);
  prefix.dataOffset = data;
  if (llvm::Error error = output.writeAt(
          {reinterpret_cast<char *>(&prefix), sizeof(prefix)}, offset))
    return error;
  return output.writeAt({header.data(), header.size()},
                        offset + sizeof(prefix));
}
