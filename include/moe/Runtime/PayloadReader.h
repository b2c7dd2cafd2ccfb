//===- PayloadReader.h - A checked view of a payload ------------*- C++ -*-===//
//
// Part of moe-mlir. parsePayload is a function on bytes: it never reads past
// them, whatever they hold, and every number it returns is within range.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PAYLOADREADER_H
#define MOE_RUNTIME_PAYLOADREADER_H

#include "moe/Runtime/Result.h"
#include "moe/Runtime/StepParts.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moe::runtime {

using Bytes = std::span<const std::byte>;

/// The header's "model" object. Sizes count elements, not bytes.
struct ModelInfo {
  std::string name, architecture;
  int64_t layers = 0, moeLayers = 0, hidden = 0, vocab = 0;
  int64_t experts = 0, topK = 0, heads = 0, kvHeads = 0, headDim = 0;
  int64_t maxContext = 0, slidingWindow = 0;
  int64_t parametersTotal = 0, parametersActive = 0;
  std::string weightType, sourceHash, quantisation;
  /// What the routing contract does not cover, in words.
  std::vector<std::string> exempt;
};

struct TargetInfo {
  std::string triple, cpu, recipe, activationType, attentionType;
  /// As in the executable's function table.
  uint64_t layout = 0;
  std::vector<std::string> features;
};

/// A MoE layer that records its routing.
struct RoutingRecord {
  int64_t layer = 0;
  int64_t topK = 0;
};

/// What keys, or values, may be cached as.
struct KVType {
  std::string name;
  /// Of keys or of values, of all layers.
  int64_t bytesPerPosition = 0;
};

/// Indices of the types that a session caches keys and values as.
struct KVChoice {
  size_t keys = 0, values = 0;
};

/// What the runtime must know to call the step function; sizes in bytes.
struct StepInfo {
  int64_t chunk = 0;
  int64_t arenaBytesPerToken = 0, arenaBytesFixed = 0, arenaBytesPerThread = 0;
  /// At least one; the first is the default.
  std::vector<KVType> kvTypes;
  /// The cache holds a multiple of this many positions.
  int64_t kvBlock = 0;
  std::vector<RoutingRecord> records;
};

/// The model's code for one target.
struct CodeVersion {
  TargetInfo target;
  StepInfo step;
  StepParts parts;
};

struct PayloadSection {
  Bytes bytes;
  uint64_t hash = 0;
};

/// Points into the bytes it was parsed from.
struct Payload {
  ModelInfo model;
  /// At least one.
  std::vector<CodeVersion> versions;
  /// The version that runs: an index, below the number of versions.
  size_t chosen = 0;
  std::map<std::string, PayloadSection, std::less<>> sections;
  uint64_t headerHash = 0;

  /// The bytes of a section, as text; empty when the model has none.
  std::string_view text(std::string_view section) const;
  bool has(std::string_view section) const;
  const TargetInfo &target() const { return versions[chosen].target; }
  const StepInfo &step() const { return versions[chosen].step; }
};

/// Checks prefix, header hash, every field and the bounds of every section.
/// `bytes` may be longer than the payload.
Result<Payload> parsePayload(Bytes bytes);

/// Compares the content of every section with its hash.
Result<void> verifySections(const Payload &payload);

/// 16 hexadecimal digits.
std::string hashText(uint64_t hash);

/// XXH3-64.
uint64_t contentHash(Bytes bytes);

/// Bytes of the KV cache for `context` positions and of the arena for calls of
/// at most `tokens` tokens; an error when they do not fit into 2^62 bytes.
Result<int64_t> kvBytes(const StepInfo &step, KVChoice choice, int64_t context);
Result<int64_t> arenaBytes(const StepInfo &step, int64_t tokens,
                           int64_t threads);

} // namespace moe::runtime

#endif // MOE_RUNTIME_PAYLOADREADER_H
