//===- payload.cpp - Fuzz payloads and ELF files --------------------------===//
//
// Part of moe-mlir. The hash in front of the header stops nearly all mutations,
// so the input also serves as a header behind a right one.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/Payload.h"
#include "moe/Runtime/PayloadFile.h"

#include <cstdlib>
#include <cstring>

using namespace moe::runtime;

namespace {

void check(bool condition) {
  if (!condition)
    std::abort();
}

void tryPayload(Bytes bytes) {
  Result<Payload> payload = parsePayload(bytes);
  if (!payload) {
    check(payload.error().message.find('\n') == std::string::npos);
    return;
  }
  for (const auto &[name, section] : payload->sections) {
    check(section.bytes.data() >= bytes.data());
    check(section.bytes.data() + section.bytes.size() <=
          bytes.data() + bytes.size());
  }
  (void)verifySections(*payload);
  check(payload->chosen < payload->versions.size());
  for (const CodeVersion &version : payload->versions) {
    const StepInfo &step = version.step;
    KVChoice last{step.kvTypes.size() - 1, step.kvTypes.size() - 1};
    for (KVChoice choice : {KVChoice(), last})
      if (Result<int64_t> size =
              kvBytes(step, choice, payload->model.maxContext))
        check(*size >= 0);
    if (Result<int64_t> size = arenaBytes(step, step.chunk, 1024))
      check(*size >= 0);
    for (const StepParts::Run &run : version.parts.order) {
      check(run.layer >= -1 && run.layer < payload->model.layers);
      for (const StepPart &part : version.parts.bodies.at(run.body))
        check(workOf(part, {7, 3, 1, last.keys, last.values}, 2).bytes >= 0);
    }
  }
}

std::vector<std::byte> withPrefix(Bytes header) {
  PayloadPrefix prefix = {};
  std::memcpy(prefix.magic, kPayloadMagic, sizeof prefix.magic);
  prefix.headerBytes = header.size();
  prefix.headerHash = contentHash(header);
  prefix.dataOffset = alignToPayload(sizeof prefix + header.size());
  prefix.payloadBytes = prefix.dataOffset + 3 * kPayloadAlignment;
  std::vector<std::byte> bytes(prefix.payloadBytes);
  std::memcpy(bytes.data(), &prefix, sizeof prefix);
  std::memcpy(bytes.data() + sizeof prefix, header.data(), header.size());
  return bytes;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Bytes input = std::as_bytes(std::span(data, size));
  tryPayload(input);
  if (size > 0)
    tryPayload(withPrefix(input));
  if (Result<Bytes> section = findElfSection(input, kPayloadSectionName))
    tryPayload(*section);
  return 0;
}
