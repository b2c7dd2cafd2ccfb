//===- RoutingTrace.cpp - Which experts each token chose ------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/RoutingTrace.h"

#include "AtomicFile.h"

namespace moe::runtime {

RoutingTrace::RoutingTrace(std::vector<RoutingRecord> records)
    : records(std::move(records)), layers(this->records.size()) {
  for (const RoutingRecord &record : this->records)
    slots += record.topK;
}

void RoutingTrace::append(std::span<const int32_t> newTokens, Phase phase,
                          std::span<const int32_t> ids,
                          std::span<const float> weights) {
  size_t at = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    size_t count = newTokens.size() * size_t(records[i].topK);
    std::span<const int32_t> layerIds = ids.subspan(at, count);
    std::span<const float> layerWeights = weights.subspan(at, count);
    layers[i].ids.insert(layers[i].ids.end(), layerIds.begin(), layerIds.end());
    layers[i].weights.insert(layers[i].weights.end(), layerWeights.begin(),
                             layerWeights.end());
    at += count;
  }
  tokens.insert(tokens.end(), newTokens.begin(), newTokens.end());
  phases.insert(phases.end(), newTokens.size(), uint8_t(phase));
}

namespace {
/// Collects tensors, then writes them behind safetensors' JSON header.
class SafetensorsWriter {
public:
  template <typename T>
  void add(const std::string &name, const char *type,
           std::initializer_list<size_t> shape, const std::vector<T> &values) {
    header += header.empty() ? "{\"" : ",\"";
    header += name + "\":{\"dtype\":\"" + type + "\",\"shape\":[";
    const char *comma = "";
    for (size_t size : shape) {
      header += comma + std::to_string(size);
      comma = ",";
    }
    size_t bytes = values.size() * sizeof(T);
    header += "],\"data_offsets\":[" + std::to_string(end) + "," +
              std::to_string(end + bytes) + "]}";
    end += bytes;
    parts.push_back({values.data(), bytes});
  }

  Result<void> write(AtomicFile &file) {
    header += header.empty() ? "{}" : "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    uint64_t headerBytes = header.size();
    if (Result<void> done = file.write(&headerBytes, sizeof headerBytes);
        !done)
      return done;
    if (Result<void> done = file.write(header.data(), header.size()); !done)
      return done;
    for (const Part &part : parts)
      if (Result<void> done = file.write(part.data, part.bytes); !done)
        return done;
    return file.commit();
  }

private:
  struct Part {
    const void *data;
    size_t bytes;
  };
  std::string header;
  std::vector<Part> parts;
  size_t end = 0;
};
} // namespace

Result<void> RoutingTrace::write(AtomicFile &file) const {
  // The wider types come first, so that every tensor is aligned.
  SafetensorsWriter writer;
  for (size_t i = 0; i < records.size(); ++i) {
    std::string name = "layer." + std::to_string(records[i].layer);
    size_t topK = size_t(records[i].topK);
    writer.add(name + ".ids", "I32", {tokens.size(), topK}, layers[i].ids);
    writer.add(name + ".weights", "F32", {tokens.size(), topK},
               layers[i].weights);
  }
  writer.add("tokens", "I32", {tokens.size()}, tokens);
  writer.add("phase", "U8", {tokens.size()}, phases);
  return writer.write(file);
}

} // namespace moe::runtime
