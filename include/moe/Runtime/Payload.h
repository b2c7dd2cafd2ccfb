//===- Payload.h - Layout of the payload section ----------------*- C++ -*-===//
//
// Part of moe-mlir. Shared by the compiler, which writes payloads, and by the
// runtime, which reads them; see docs/executable-format.md. Plain data only.
// All integers are little-endian.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PAYLOAD_H
#define MOE_RUNTIME_PAYLOAD_H

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace moe::runtime {

/// Name of the ELF section (non-alloc, the last one of the file).
inline constexpr char kPayloadSectionName[] = ".moe.payload";

inline constexpr char kPayloadMagic[8] = {'M', 'O', 'E', 'P',
                                          'A', 'Y', 'L', '1'};

/// Value of the header's "format" field.
inline constexpr int64_t kPayloadFormat = 4;

/// Versions of the code that an executable may hold.
inline constexpr uint64_t kMaxVersions = 64;

/// File offset of the payload, its data and each of its sections, in bytes.
inline constexpr uint64_t kPayloadAlignment = 4096;

/// A JSON header is smaller than this many bytes.
inline constexpr uint64_t kPayloadMaxHeaderBytes = uint64_t(16) << 20;

/// The first 64 bytes of a payload; the JSON header follows at once.
struct PayloadPrefix {
  char magic[8];
  uint64_t headerBytes;
  /// XXH3-64 of the JSON header.
  uint64_t headerHash;
  uint64_t payloadBytes;
  /// From the start of the payload; a multiple of kPayloadAlignment.
  uint64_t dataOffset;
  uint8_t reserved[24];
};

static_assert(sizeof(PayloadPrefix) == 64);
static_assert(offsetof(PayloadPrefix, headerBytes) == 8);
static_assert(offsetof(PayloadPrefix, headerHash) == 16);
static_assert(offsetof(PayloadPrefix, payloadBytes) == 24);
static_assert(offsetof(PayloadPrefix, dataOffset) == 32);
static_assert(std::is_trivially_copyable_v<PayloadPrefix>);

inline constexpr uint64_t alignToPayload(uint64_t offset) {
  return (offset + kPayloadAlignment - 1) / kPayloadAlignment *
         kPayloadAlignment;
}

/// Names of the sections that the runtime knows.
inline constexpr char kWeightsSection[] = "weights";
inline constexpr char kTokenizerJsonSection[] = "tokenizer.json";
inline constexpr char kTokenizerModelSection[] = "tokenizer.model";
inline constexpr char kTokenizerConfigSection[] = "tokenizer_config.json";
inline constexpr char kGenerationConfigSection[] = "generation_config.json";

} // namespace moe::runtime

#endif // MOE_RUNTIME_PAYLOAD_H
