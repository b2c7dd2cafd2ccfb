//===- StepPartsReader.cpp - A step's parts from a header -----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "StepPartsReader.h"

#include <optional>

namespace moe::runtime {

using nlohmann::json;

// Bounds that no real model reaches; they keep a list that a damaged header
// describes within memory.
static constexpr size_t kMaxParts = 4096;
static constexpr size_t kMaxRuns = size_t(1) << 20;
static constexpr int64_t kMaxCost = int64_t(1) << 46;

/// An integer of [min, max]; JSON's may be wider than 64 bits with sign.
static std::optional<int64_t> integerIn(const json &value, int64_t min,
                                        int64_t max) {
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX))
    return std::nullopt;
  auto number = value.get<int64_t>();
  return number >= min && number <= max ? std::optional(number) : std::nullopt;
}

/// Costs that are 0 are left out of the header.
static int64_t readCost(JsonFields &fields, const char *name) {
  return fields.find(name) ? fields.integer(name, 0, kMaxCost) : 0;
}

static StepPart readPart(JsonFields &fields, size_t types) {
  StepPart part;
  part.op = fields.text("op");
  part.name = fields.text("name");
  if (fields.find("recipe"))
    part.recipe = fields.text("recipe");
  part.lastRows = fields.boolean("last_rows", false);
  part.bytes = readCost(fields, "bytes");
  part.rowBytes = readCost(fields, "row_bytes");
  part.expertBytes = readCost(fields, "expert_bytes");
  part.rowFlops = readCost(fields, "row_flops");
  part.positionFlops = readCost(fields, "position_flops");
  part.window = readCost(fields, "window");
  if (!fields.find("cache_bytes"))
    return part;
  for (const json &bytes : fields.array("cache_bytes")) {
    if (std::optional<int64_t> size = integerIn(bytes, 0, kMaxCost))
      part.cacheBytes.push_back(*size);
    else
      fields.reject("cache_bytes", "expected sizes in bytes");
  }
  if (part.cacheBytes.size() != types)
    fields.reject("cache_bytes", "expected a size for each of step.kv_types");
  return part;
}

static std::vector<StepPart> readBody(const json &entries, JsonFields &fields,
                                      size_t number, size_t types) {
  std::string name = "bodies[" + std::to_string(number) + "]";
  std::vector<StepPart> body;
  if (!entries.is_array() || entries.size() > kMaxParts)
    fields.reject(name,
                  "expected at most " + std::to_string(kMaxParts) + " parts");
  else
    for (const json &entry : entries) {
      JsonFields part(entry, fields.pathOf(name));
      body.push_back(readPart(part, types));
      if (part.error())
        fields.reject(name, part.error()->message);
    }
  return body;
}

/// Adds a run, and its parts to `total`: a profile has all of them in memory.
static void readRun(const json &entry, JsonFields &fields, StepParts &parts,
                    int64_t layers, size_t &total) {
  std::optional<int64_t> body, layer;
  if (entry.is_array() && entry.size() == 2) {
    body = integerIn(entry[0], 0, int64_t(parts.bodies.size()) - 1);
    layer = integerIn(entry[1], -1, layers - 1);
  }
  if (!body || !layer)
    return fields.reject("order", "expected pairs of a body and a layer or -1");
  parts.order.push_back({size_t(*body), *layer});
  total += parts.bodies[parts.order.back().body].size();
  if (total > kMaxRuns)
    fields.reject("order", "too many parts");
}

StepParts readStepParts(JsonFields &fields, int64_t layers, size_t types) {
  StepParts parts;
  const json &bodies = fields.array("bodies");
  const json &order = fields.array("order");
  if (bodies.size() > kMaxParts)
    fields.reject("bodies", "too many entries");
  if (order.size() > kMaxRuns)
    fields.reject("order", "too many entries");
  size_t total = 0;
  for (size_t i = 0; i < bodies.size() && !fields.error(); ++i)
    parts.bodies.push_back(readBody(bodies[i], fields, i, types));
  for (size_t i = 0; i < order.size() && !fields.error(); ++i)
    readRun(order[i], fields, parts, layers, total);
  return parts;
}

} // namespace moe::runtime
