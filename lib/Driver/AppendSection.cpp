//===- AppendSection.cpp - A section at the end of an ELF file ------------===//
//
// Part of moe-mlir. lld would copy a payload of many gigabytes through memory;
// instead the section table is rewritten behind the payload's place. A section
// (unlike bytes that merely follow the file) survives `strip` of GNU binutils.
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/Link.h"

#include "Diagnostics.h"

#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

using namespace moec;
using namespace llvm::ELF;

static constexpr uint64_t kAlignment = 4096;

namespace {
/// An open file descriptor.
struct File {
  explicit File(llvm::StringRef path)
      : fd(::open(path.str().c_str(), O_RDWR | O_CLOEXEC)) {}
  ~File() {
    if (fd >= 0)
      ::close(fd);
  }
  bool read(void *data, size_t size, uint64_t offset) const {
    return ::pread(fd, data, size, offset) == ssize_t(size);
  }
  bool write(const void *data, size_t size, uint64_t offset) const {
    return ::pwrite(fd, data, size, offset) == ssize_t(size);
  }
  int fd;
};
} // namespace

llvm::Expected<uint64_t> moec::appendSection(llvm::StringRef path,
                                             llvm::StringRef name,
                                             uint64_t bytes) {
  File file(path);
  Elf64_Ehdr header;
  if (file.fd < 0 || !file.read(&header, sizeof(header), 0))
    return makeError("the linked file cannot be read");
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (header.e_shstrndx >= sections.size() ||
      !file.read(sections.data(), sections.size() * sizeof(Elf64_Shdr),
                 header.e_shoff))
    return makeError("the linked file has no section table");
  Elf64_Shdr &strings = sections[header.e_shstrndx];
  std::vector<char> names(strings.sh_size);
  if (!file.read(names.data(), names.size(), strings.sh_offset))
    return makeError("the linked file has no section names");

  // Everything before the section table stays; the payload goes behind it.
  uint64_t end = 0;
  for (const Elf64_Shdr &section : sections)
    if (section.sh_type != SHT_NOBITS)
      end = std::max(end, section.sh_offset + section.sh_size);
  end = std::max(end, header.e_shoff);
  uint64_t payload = llvm::alignTo(end, kAlignment);

  Elf64_Shdr added = {};
  added.sh_name = names.size();
  added.sh_type = SHT_PROGBITS;
  added.sh_offset = payload;
  added.sh_size = bytes;
  added.sh_addralign = kAlignment;
  names.insert(names.end(), name.begin(), name.end());
  names.push_back('\0');
  strings.sh_offset = llvm::alignTo(payload + bytes, 8);
  strings.sh_size = names.size();
  header.e_shoff = llvm::alignTo(strings.sh_offset + names.size(), 8);
  // Only now: `strings` lies in the table.
  uint64_t namesAt = strings.sh_offset;
  sections.push_back(added);
  header.e_shnum = sections.size();
  if (!file.write(names.data(), names.size(), namesAt) ||
      !file.write(sections.data(), sections.size() * sizeof(Elf64_Shdr),
                  header.e_shoff) ||
      !file.write(&header, sizeof(header), 0))
    return makeError(llvm::Twine("cannot be written: ") + std::strerror(errno));
  return payload;
}
