//===- ConfigRope.cpp - The RoPE fields of a config -----------------------===//
//
// Part of moe-mlir. Priorities are those of convert_rope_params_to_dict and
// standardize_rope_params in transformers 5.23.0.
//
//===----------------------------------------------------------------------===//

#include "ConfigRope.h"

#include "ImportError.h"

#include "llvm/ADT/StringSwitch.h"

using namespace moe;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
using nlohmann::json;

namespace {

constexpr int64_t maxContext = int64_t(1) << 30;
constexpr double maxTheta = 1e30; // finite in f32
// Beyond these, f32 frequencies overflow or vanish.
constexpr double minFactor = 1e-6, maxFactor = 1e6;

std::optional<RopeType> parseRopeType(StringRef name) {
  return llvm::StringSwitch<std::optional<RopeType>>(name)
      .Case("default", RopeType::Default)
      .Case("linear", RopeType::Linear)
      .Case("dynamic", RopeType::Dynamic)
      .Case("yarn", RopeType::Yarn)
      .Case("llama3", RopeType::Llama3)
      .Default(std::nullopt);
}

/// 0 counts as absent, as in Python.
std::optional<double> readMscale(ConfigFields &dict, const char *name) {
  std::optional<double> value = dict.optionalNumber(name, -1, maxFactor);
  if (value.value_or(0) < 0)
    dict.expected(name, "a number that is not negative");
  return value;
}

void readYarn(ConfigFields &dict, RopeConfig &rope) {
  // `factor: null` stands for the ratio of the two context lengths.
  if (!dict.find("factor") && dict.contains("factor"))
    rope.factor = static_cast<double>(rope.maxPositions) /
                  static_cast<double>(rope.originalMaxPositions);
  else
    rope.factor = dict.number("factor", minFactor, maxFactor);
  rope.attentionFactor =
      dict.optionalNumber("attention_factor", minFactor, maxFactor);
  rope.mscale = readMscale(dict, "mscale");
  rope.mscaleAllDim = readMscale(dict, "mscale_all_dim");
  rope.betaFast = dict.number("beta_fast", minFactor, maxFactor, 32.0);
  rope.betaSlow = dict.number("beta_slow", minFactor, maxFactor, 1.0);
  rope.truncate = dict.boolean("truncate", true);
}

void readLlama3(ConfigFields &dict, RopeConfig &rope) {
  rope.factor = dict.number("factor", minFactor, maxFactor);
  rope.lowFreqFactor = dict.number("low_freq_factor", minFactor, maxFactor);
  rope.highFreqFactor = dict.number("high_freq_factor", minFactor, maxFactor);
  if (rope.highFreqFactor <= rope.lowFreqFactor)
    dict.expected("high_freq_factor", "a number above low_freq_factor");
}

/// Rotations that no supported architecture has.
void rejectOtherRotations(ConfigFields &dict) {
  for (const char *name : {"mrope_section", "short_factor", "long_factor"})
    if (dict.find(name))
      dict.expected(name, "nothing; this kind of RoPE is not supported");
  if (dict.number("partial_rotary_factor", 0, 1, 1.0) != 1.0)
    dict.expected("partial_rotary_factor", "1");
}

/// The context before scaling: the config's own field, else the dictionary's,
/// else max_position_embeddings.
int64_t readOriginalPositions(ConfigFields &fields, ConfigFields &dict,
                              const RopeDefaults &defaults) {
  const char *name = "original_max_position_embeddings";
  int64_t inner = dict.integer(name, 1, maxContext, defaults.maxPositions);
  int64_t outer = fields.integer(name, 1, maxContext, inner);
  if (dict.find(name) && inner != outer)
    fields.expected(name, "the value inside the RoPE parameters, " +
                              llvm::Twine(inner) + ", found " +
                              llvm::Twine(outer));
  return outer;
}

void readScaling(ConfigFields &fields, ConfigFields &dict,
                 const RopeDefaults &defaults, RopeConfig &rope) {
  switch (rope.type) {
  case RopeType::Default:
    return;
  case RopeType::Linear:
    rope.factor = dict.number("factor", minFactor, maxFactor);
    return;
  case RopeType::Dynamic:
    rope.factor = dict.number("factor", minFactor, maxFactor);
    if (rope.headDim <= 2)
      dict.expected("rope_type", "another type than dynamic for heads of 2");
    return;
  case RopeType::Yarn:
    rope.originalMaxPositions = readOriginalPositions(fields, dict, defaults);
    return readYarn(dict, rope);
  case RopeType::Llama3:
    rope.originalMaxPositions = readOriginalPositions(fields, dict, defaults);
    return readLlama3(dict, rope);
  }
}

} // namespace

RopeConfig moe::readRope(ConfigFields &fields, const RopeDefaults &defaults,
                         StringRef origin, std::vector<std::string> &unread) {
  static const json empty = json::object();
  const json *parameters = fields.find({"rope_parameters", "rope_scaling"});
  const char *name =
      fields.find("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (parameters && !parameters->is_object()) {
    fields.expected(name, "an object, found " + valueText(*parameters));
    parameters = nullptr;
  }
  ConfigFields dict(parameters ? *parameters : empty, origin,
                    std::string(name) + ".");

  RopeConfig rope;
  rope.headDim = defaults.headDim;
  rope.maxPositions = defaults.maxPositions;
  double outerTheta = fields.number("rope_theta", 1, maxTheta, defaults.theta);
  rope.theta = dict.number("rope_theta", 1, maxTheta, outerTheta);
  std::string typeName = dict.string({"rope_type", "type"}, "default");
  if (std::optional<RopeType> type = parseRopeType(typeName))
    rope.type = *type;
  else
    dict.expected("rope_type", "default, linear, dynamic, yarn or llama3, "
                               "found " +
                                   inQuotes(typeName));
  rejectOtherRotations(dict);
  readScaling(fields, dict, defaults, rope);
  fields.adopt(dict);
  for (std::string &field : dict.unread())
    unread.push_back(std::move(field));
  return rope;
}
