//===- PayloadReader.cpp - A checked view of a payload --------------------===//
//
// Part of moe-mlir. Layout: docs/executable-format.md.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/PayloadReader.h"

#include "JsonFields.h"
#include "StepPartsReader.h"
#include "moe/Runtime/Payload.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace moe::runtime {

static_assert(std::endian::native == std::endian::little,
              "the prefix is read with memcpy");

using nlohmann::json;

// Bounds that no real model reaches; they keep sums and products of sizes
// within 64 bits.
static constexpr int64_t kMaxCount = int64_t(1) << 24;
static constexpr int64_t kMaxBytes = int64_t(1) << 46;
static constexpr size_t kMaxKVTypes = 16;
static constexpr int64_t kMaxParameters = int64_t(1) << 60;

uint64_t contentHash(Bytes bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string hashText(uint64_t hash) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, hash >>= 4)
    text[i] = digits[hash & 15];
  return text;
}

std::string_view Payload::text(std::string_view section) const {
  auto it = sections.find(section);
  if (it == sections.end())
    return {};
  Bytes bytes = it->second.bytes;
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

bool Payload::has(std::string_view section) const {
  return sections.find(section) != sections.end();
}

static Result<PayloadPrefix> readPrefix(Bytes bytes) {
  PayloadPrefix prefix;
  if (bytes.size() < sizeof prefix)
    return fail("the payload is cut: ", bytes.size(),
                " bytes, expected at "
                "least ",
                sizeof prefix);
  std::memcpy(&prefix, bytes.data(), sizeof prefix);
  if (std::memcmp(prefix.magic, kPayloadMagic, sizeof kPayloadMagic) != 0)
    return fail("not a payload: it does not start with MOEPAYL1");
  if (prefix.payloadBytes > bytes.size())
    return fail("the payload is cut: ", bytes.size(), " of ",
                prefix.payloadBytes, " bytes are there");
  if (prefix.headerBytes > kPayloadMaxHeaderBytes ||
      prefix.headerBytes > prefix.payloadBytes ||
      sizeof prefix + prefix.headerBytes > prefix.payloadBytes)
    return fail("the payload's header length ", prefix.headerBytes,
                " does not fit into its ", prefix.payloadBytes, " bytes");
  if (prefix.dataOffset % kPayloadAlignment != 0 ||
      prefix.dataOffset < sizeof prefix + prefix.headerBytes ||
      prefix.dataOffset > prefix.payloadBytes)
    return fail("the payload's data offset ", prefix.dataOffset,
                " is not a multiple of ", kPayloadAlignment,
                " between header and end");
  // Room for what a later format may put there: this reader would not know
  // what it means.
  if (std::ranges::any_of(prefix.reserved, [](uint8_t byte) { return byte; }))
    return fail("the payload's bytes 40 to 63 are not zero");
  return prefix;
}

static ModelInfo readModel(JsonFields &fields) {
  ModelInfo model;
  model.name = fields.text("name");
  model.architecture = fields.text("architecture");
  model.layers = fields.integer("layers", 1, kMaxCount);
  model.moeLayers = fields.integer("moe_layers", 0, model.layers);
  model.hidden = fields.integer("hidden", 1, kMaxCount);
  model.vocab = fields.integer("vocab", 1, kMaxCount);
  model.experts = fields.integer("experts", 0, kMaxCount);
  model.topK = fields.integer("top_k", 0, kMaxCount);
  model.heads = fields.integer("heads", 0, kMaxCount);
  model.kvHeads = fields.integer("kv_heads", 0, kMaxCount);
  model.headDim = fields.integer("head_dim", 0, kMaxCount);
  model.maxContext = fields.integer("max_context", 1, int64_t(1) << 30);
  model.slidingWindow = fields.integer("sliding_window", 0, int64_t(1) << 30);
  model.parametersTotal = fields.integer("parameters_total", 0, kMaxParameters);
  model.parametersActive =
      fields.integer("parameters_active", 0, kMaxParameters);
  model.weightType = fields.text("weight_type");
  model.sourceHash = fields.text("source_hash");
  model.quantisation = fields.text("quantisation");
  model.exempt = fields.texts("exempt");
  return model;
}

static bool parseHash(const std::string &text, uint64_t &hash) {
  const char *end = text.data() + text.size();
  auto [stop, code] = std::from_chars(text.data(), end, hash, 16);
  return code == std::errc() && stop == end && text.size() == 16;
}

static TargetInfo readTarget(JsonFields &fields) {
  TargetInfo target;
  target.triple = fields.text("triple");
  target.cpu = fields.text("cpu");
  target.recipe = fields.text("recipe");
  target.activationType = fields.text("activation_type");
  target.attentionType = fields.text("attention_type");
  target.features = fields.texts("features");
  if (std::string layout = fields.text("layout");
      !fields.error() && !parseHash(layout, target.layout))
    fields.reject("layout", "expected 16 hexadecimal digits");
  return target;
}

static std::vector<KVType> readKVTypes(JsonFields &fields) {
  const json &entries = fields.array("kv_types");
  if (!fields.error() && (entries.empty() || entries.size() > kMaxKVTypes))
    fields.reject("kv_types",
                  "expected 1 to " + std::to_string(kMaxKVTypes) + " entries");
  std::vector<KVType> types;
  for (size_t i = 0; i < entries.size() && !fields.error(); ++i) {
    JsonFields entry(entries[i],
                     fields.pathOf("kv_types[" + std::to_string(i) + "]"));
    KVType type{entry.text("name"),
                entry.integer("bytes_per_position", 0, int64_t(1) << 31)};
    if (entry.error())
      fields.reject("kv_types", entry.error()->message);
    else if (std::ranges::count(types, type.name, &KVType::name))
      fields.reject("kv_types", "'" + type.name + "' comes twice");
    types.push_back(std::move(type));
  }
  return types;
}

static StepInfo readStep(JsonFields &fields, int64_t layers) {
  StepInfo step;
  step.chunk = fields.integer("chunk", 1, int64_t(1) << 20);
  step.arenaBytesPerToken =
      fields.integer("arena_bytes_per_token", 0, int64_t(1) << 34);
  step.arenaBytesFixed = fields.integer("arena_bytes_fixed", 0, kMaxBytes);
  step.arenaBytesPerThread =
      fields.integer("arena_bytes_per_thread", 0, kMaxBytes);
  step.kvTypes = readKVTypes(fields);
  step.kvBlock = fields.integer("kv_block", 1, int64_t(1) << 20);
  const json &records = fields.array("records");
  if (records.size() > size_t(layers))
    fields.reject("records", "more entries than the model has layers");
  for (size_t i = 0; i < records.size() && !fields.error(); ++i) {
    JsonFields record(records[i],
                      fields.pathOf("records[" + std::to_string(i) + "]"));
    step.records.push_back({record.integer("layer", 0, layers - 1),
                            record.integer("top_k", 1, 4096)});
    if (record.error())
      fields.reject("records", record.error()->message);
    // Strictly ascending: each names a tensor of the trace.
    if (i > 0 && step.records[i].layer <= step.records[i - 1].layer)
      fields.reject("records", "expected ascending layers");
  }
  return step;
}

/// The code's versions, each with its own sizes. Names differ: --isa takes one.
static Result<std::vector<CodeVersion>> readVersions(const json &targets,
                                                     int64_t layers) {
  if (targets.empty() || targets.size() > kMaxVersions)
    return fail("targets: expected 1 to ", kMaxVersions, " entries");
  std::vector<CodeVersion> versions;
  for (size_t i = 0; i < targets.size(); ++i) {
    std::string path = "targets[" + std::to_string(i) + "]";
    JsonFields targetFields(targets[i], path);
    TargetInfo target = readTarget(targetFields);
    JsonFields stepFields(targetFields.object("step"), path + ".step");
    JsonFields partFields(targetFields.object("parts"), path + ".parts");
    if (targetFields.error())
      return std::unexpected(*targetFields.error());
    StepInfo step = readStep(stepFields, layers);
    if (stepFields.error())
      return std::unexpected(*stepFields.error());
    StepParts parts = readStepParts(partFields, layers, step.kvTypes.size());
    if (partFields.error())
      return std::unexpected(*partFields.error());
    for (const CodeVersion &other : versions)
      if (other.target.cpu == target.cpu)
        return fail(path, ".cpu: '", target.cpu, "' is there already");
    versions.push_back({std::move(target), std::move(step), std::move(parts)});
  }
  return versions;
}

static Result<PayloadSection> readSection(const json &entry,
                                          const std::string &name, Bytes data) {
  JsonFields fields(entry, "sections." + name);
  uint64_t offset = fields.integer("offset", 0, INT64_MAX);
  uint64_t size = fields.integer("bytes", 0, INT64_MAX);
  std::string hash = fields.text("hash");
  PayloadSection section;
  if (!fields.error() && !parseHash(hash, section.hash))
    fields.reject("hash", "expected 16 hexadecimal digits");
  if (!fields.error() && offset % kPayloadAlignment != 0)
    fields.reject("offset", std::to_string(offset) + " is not a multiple of " +
                                std::to_string(kPayloadAlignment));
  if (!fields.error() && (offset > data.size() || size > data.size() - offset))
    fields.reject("bytes", "the section ends behind the payload's " +
                               std::to_string(data.size()) + " bytes of data");
  if (fields.error())
    return std::unexpected(*fields.error());
  section.bytes = data.subspan(offset, size);
  return section;
}

static Result<Payload> readHeader(const json &header, Bytes data) {
  JsonFields fields(header, "");
  fields.integer("format", kPayloadFormat, kPayloadFormat);
  JsonFields modelFields(fields.object("model"), "model");
  const json &targets = fields.array("targets");
  const json &sections = fields.object("sections");
  if (fields.error())
    return std::unexpected(*fields.error());

  Payload payload;
  payload.model = readModel(modelFields);
  if (modelFields.error())
    return std::unexpected(*modelFields.error());
  Result<std::vector<CodeVersion>> versions =
      readVersions(targets, payload.model.layers);
  if (!versions)
    return passOn(versions);
  payload.versions = std::move(*versions);

  for (const auto &[name, entry] : sections.items()) {
    Result<PayloadSection> section = readSection(entry, name, data);
    if (!section)
      return passOn(section);
    payload.sections.emplace(name, *section);
  }
  if (!payload.has(kWeightsSection))
    return fail("sections.weights: missing");
  return payload;
}

Result<Payload> parsePayload(Bytes bytes) {
  Result<PayloadPrefix> prefix = readPrefix(bytes);
  if (!prefix)
    return passOn(prefix);
  Bytes headerBytes = bytes.subspan(sizeof(PayloadPrefix), prefix->headerBytes);
  uint64_t hash = contentHash(headerBytes);
  if (hash != prefix->headerHash)
    return fail("the payload's header is damaged: hash ", hashText(hash),
                ", expected ", hashText(prefix->headerHash));
  Result<json> header = parseJsonObject(
      {reinterpret_cast<const char *>(headerBytes.data()), headerBytes.size()});
  if (!header)
    return failIn("the payload's header", header);
  Bytes data = bytes.subspan(prefix->dataOffset,
                             prefix->payloadBytes - prefix->dataOffset);
  Result<Payload> payload = readHeader(*header, data);
  if (!payload)
    return failIn("the payload's header", payload);
  payload->headerHash = hash;
  return payload;
}

Result<void> verifySections(const Payload &payload) {
  for (const auto &[name, section] : payload.sections) {
    uint64_t hash = contentHash(section.bytes);
    if (hash != section.hash)
      return fail("section ", name, " is damaged: hash ", hashText(hash),
                  ", expected ", hashText(section.hash));
  }
  return {};
}

static int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Adds `count * size` to `sum`; false on overflow of 2^62.
static bool addProduct(int64_t &sum, int64_t count, int64_t size) {
  int64_t product;
  return !__builtin_mul_overflow(count, size, &product) &&
         !__builtin_add_overflow(sum, product, &sum) &&
         sum <= (int64_t(1) << 62);
}

Result<int64_t> kvBytes(const StepInfo &step, KVChoice choice,
                        int64_t context) {
  int64_t sum = 0, positions = roundUp(context, step.kvBlock);
  const KVType &keys = step.kvTypes[choice.keys];
  const KVType &values = step.kvTypes[choice.values];
  if (!addProduct(sum, positions, keys.bytesPerPosition) ||
      !addProduct(sum, positions, values.bytesPerPosition))
    return fail("the KV cache for ", context, " positions is too large");
  return sum;
}

Result<int64_t> arenaBytes(const StepInfo &step, int64_t tokens,
                           int64_t threads) {
  int64_t sum = step.arenaBytesFixed;
  if (!addProduct(sum, roundUp(tokens, 16), step.arenaBytesPerToken) ||
      !addProduct(sum, threads, step.arenaBytesPerThread))
    return fail("the working memory for ", tokens, " tokens and ", threads,
                " threads is too large");
  return sum;
}

} // namespace moe::runtime
