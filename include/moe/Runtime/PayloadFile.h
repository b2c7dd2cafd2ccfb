//===- PayloadFile.h - Finds and maps a payload -----------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PAYLOADFILE_H
#define MOE_RUNTIME_PAYLOADFILE_H

#include "moe/Runtime/PayloadReader.h"

#include <string>

namespace moe::runtime {

/// A file mapped read-only for as long as this object lives.
class MappedFile {
public:
  static Result<MappedFile> open(const std::string &path);
  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  ~MappedFile();
  Bytes bytes() const { return {data, size}; }

private:
  MappedFile() = default;
  const std::byte *data = nullptr;
  size_t size = 0;
};

/// A payload and the mapping that it points into.
struct PayloadFile {
  MappedFile file;
  std::string path;
  Payload payload;
};

/// The content of section `name` of a 64-bit little-endian ELF file. Errors:
/// no ELF file, a cut or inconsistent section table, no such section.
Result<Bytes> findElfSection(Bytes elf, std::string_view name);

/// Maps the payload of the running executable. Looks at /proc/self/exe, then
/// at the file this code is mapped from, AT_EXECFN and argv0 (searched in
/// PATH), so that a program started through the dynamic loader or without
/// /proc finds itself too.
Result<PayloadFile> openOwnPayload(const char *argv0);

/// Maps a payload file as `--weights FILE` names it: the bytes of a payload,
/// or an executable that carries one.
Result<PayloadFile> openPayloadFile(const std::string &path);

} // namespace moe::runtime

#endif // MOE_RUNTIME_PAYLOADFILE_H
