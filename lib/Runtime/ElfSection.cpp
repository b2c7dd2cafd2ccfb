//===- ElfSection.cpp - Finds a section in an ELF file --------------------===//
//
// Part of moe-mlir. Reads only what it has checked to be within the file.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/PayloadFile.h"

#include <cstring>
#include <elf.h>

namespace moe::runtime {

/// Copies a T from `offset`; false when it would end behind the file.
template <typename T>
static bool readAt(Bytes file, uint64_t offset, T &value) {
  if (offset > file.size() || sizeof(T) > file.size() - offset)
    return false;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return true;
}

static bool within(Bytes file, const Elf64_Shdr &section) {
  return section.sh_offset <= file.size() &&
         section.sh_size <= file.size() - section.sh_offset;
}

static bool nameIs(Bytes file, const Elf64_Shdr &names, uint32_t at,
                   std::string_view name) {
  if (at >= names.sh_size || names.sh_size - at < name.size() + 1)
    return false;
  const auto *text =
      reinterpret_cast<const char *>(file.data() + names.sh_offset + at);
  return std::memcmp(text, name.data(), name.size()) == 0 &&
         text[name.size()] == '\0';
}

Result<Bytes> findElfSection(Bytes elf, std::string_view name) {
  Elf64_Ehdr header;
  if (!readAt(elf, 0, header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return fail("not an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB)
    return fail("not a 64-bit little-endian ELF file");
  if (header.e_shoff == 0 || header.e_shentsize != sizeof(Elf64_Shdr))
    return fail("no section table, expected a section ", name,
                " (was the file stripped of its section headers?)");
  // Section 0 holds the numbers that do not fit into the header's 16 bits.
  Elf64_Shdr first;
  if (!readAt(elf, header.e_shoff, first))
    return fail("the file is cut: its section table lies behind its end");
  uint64_t count = header.e_shnum ? header.e_shnum : first.sh_size;
  uint64_t namesIndex = header.e_shstrndx == SHN_XINDEX ? first.sh_link
                                                        : header.e_shstrndx;
  if (count > (elf.size() - header.e_shoff) / sizeof(Elf64_Shdr))
    return fail("the file is cut: its section table lies behind its end");
  Elf64_Shdr names;
  if (namesIndex >= count ||
      !readAt(elf, header.e_shoff + namesIndex * sizeof names, names) ||
      !within(elf, names))
    return fail("the section names lie outside the file");
  for (uint64_t i = 1; i < count; ++i) {
    Elf64_Shdr section;
    if (!readAt(elf, header.e_shoff + i * sizeof section, section) ||
        !nameIs(elf, names, section.sh_name, name))
      continue;
    if (section.sh_type == SHT_NOBITS || !within(elf, section))
      return fail("the file is cut: section ", name, " lies behind its end");
    return elf.subspan(section.sh_offset, section.sh_size);
  }
  return fail("no section ", name);
}

} // namespace moe::runtime
