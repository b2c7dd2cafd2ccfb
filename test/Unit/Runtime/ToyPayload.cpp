//===- ToyPayload.cpp - Payloads for tests --------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "ToyPayload.h"

#include "moe/Runtime/Payload.h"
#include "moe/Runtime/PayloadReader.h"

#include <cstring>

namespace moe::runtime::test {

using nlohmann::json;

json toyHeader() {
  return json::parse(R"({
    "format": 4,
    "model": {"name": "toy", "architecture": "hash", "layers": 4,
              "moe_layers": 2, "hidden": 8, "vocab": 300, "experts": 8,
              "top_k": 2, "heads": 2, "kv_heads": 1, "head_dim": 4,
              "max_context": 200, "parameters_total": 1234567,
              "parameters_active": 4321, "weight_type": "bf16",
              "sliding_window": 0, "source_hash": "feed",
              "exempt": [], "quantisation": "none"},
    "targets": [
      {"triple": "x86_64-unknown-linux-gnu", "cpu": "x86-64-v3",
       "features": ["avx2"], "recipe": "bf16-widen-f32",
       "activation_type": "bf16", "attention_type": "f32",
       "layout": "00000000000001d0",
       "step": {"chunk": 48, "arena_bytes_per_token": 256,
                "arena_bytes_fixed": 4096, "arena_bytes_per_thread": 64,
                "kv_types": [{"name": "bf16", "bytes_per_position": 8},
                             {"name": "q8_0", "bytes_per_position": 4}],
                "kv_block": 64,
                "records": [{"layer": 1, "top_k": 2},
                            {"layer": 3, "top_k": 3}]},
       "parts": {
         "bodies": [
           [{"op": "embedding", "name": "embed", "row_bytes": 16}],
           [{"op": "attention", "name": "attention",
             "recipe": "widen-f32-fma", "position_flops": 32,
             "cache_bytes": [2, 1]},
            {"op": "grouped_matmul", "name": "experts.down",
             "recipe": "widen-f32-fma", "expert_bytes": 64,
             "row_flops": 128}],
           [{"op": "linear", "name": "head", "recipe": "widen-f32-fma",
             "last_rows": true, "bytes": 4800, "row_flops": 4800}]],
         "order": [[0, -1], [1, 0], [1, 1], [1, 2], [1, 3], [2, -1]]}}]
  })");
}

static Bytes bytesOf(const std::string &text) {
  return std::as_bytes(std::span(text));
}

std::string frameHeader(const std::string &header, const std::string &data) {
  PayloadPrefix prefix = {};
  std::memcpy(prefix.magic, kPayloadMagic, sizeof prefix.magic);
  prefix.headerBytes = header.size();
  prefix.headerHash = contentHash(bytesOf(header));
  prefix.dataOffset = alignToPayload(sizeof prefix + header.size());
  prefix.payloadBytes = prefix.dataOffset + data.size();
  std::string payload(reinterpret_cast<const char *>(&prefix), sizeof prefix);
  payload += header;
  payload.resize(prefix.dataOffset);
  return payload + data;
}

std::string makePayload(json header,
                        const std::map<std::string, std::string> &sections) {
  std::string data;
  json table = json::object();
  for (const auto &[name, content] : sections) {
    data.resize(alignToPayload(data.size()));
    table[name] = {{"offset", data.size()},
                   {"bytes", content.size()},
                   {"hash", hashText(contentHash(bytesOf(content)))}};
    data += content;
  }
  if (!header.contains("sections"))
    header["sections"] = table;
  return frameHeader(header.dump(), data);
}

std::string toyPayload(std::map<std::string, std::string> sections) {
  sections.emplace("weights", "8 bytes.");
  return makePayload(toyHeader(), sections);
}

} // namespace moe::runtime::test
