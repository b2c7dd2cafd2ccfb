//===- ProtoReader.h - The wire format of protocol buffers ------*- C++ -*-===//
//
// Part of moe-mlir. Reads no more than tokenizer.model needs.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_PROTOREADER_H
#define MOE_RUNTIME_TOKENIZER_PROTOREADER_H

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace moe::runtime {

/// Walks the fields of one message. next() is false at the end and at the
/// first malformed field; failed() tells them apart.
class ProtoReader {
public:
  explicit ProtoReader(std::string_view bytes) : rest(bytes) {}

  bool next() {
    uint64_t key;
    if (rest.empty() || !readVarint(key))
      return false;
    field = uint32_t(key >> 3);
    wireType = uint32_t(key & 7);
    switch (wireType) {
    case 0:
      return readVarint(varint);
    case 1:
      return take(8, payload);
    case 2:
      return readVarint(varint) && take(varint, payload);
    case 5:
      return take(4, payload);
    default:
      return malformed = true, false;
    }
  }

  bool failed() const { return malformed; }
  uint32_t number() const { return field; }

  /// The current field's value; a malformed message where its wire type is
  /// another.
  uint64_t integer() { return expect(0) ? varint : 0; }
  std::string_view bytes() { return expect(2) ? payload : ""; }
  float number32() {
    uint32_t bits = 0;
    if (expect(5))
      std::memcpy(&bits, payload.data(), sizeof bits);
    return std::bit_cast<float>(bits);
  }

private:
  bool expect(uint32_t type) {
    malformed |= wireType != type;
    return wireType == type;
  }

  bool take(uint64_t size, std::string_view &result) {
    if (size > rest.size())
      return malformed = true, false;
    result = rest.substr(0, size);
    rest.remove_prefix(size);
    return true;
  }

  bool readVarint(uint64_t &value) {
    value = 0;
    for (int shift = 0; shift < 64 && !rest.empty(); shift += 7) {
      auto byte = static_cast<unsigned char>(rest[0]);
      rest.remove_prefix(1);
      value |= uint64_t(byte & 0x7F) << shift;
      if (byte < 0x80)
        return true;
    }
    return malformed = true, false;
  }

  std::string_view rest, payload;
  uint64_t varint = 0;
  uint32_t field = 0, wireType = 0;
  bool malformed = false;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_PROTOREADER_H
