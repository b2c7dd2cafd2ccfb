//===- ElfSectionTest.cpp - Finding a section in an ELF file --------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/PayloadFile.h"

#include <cstring>
#include <elf.h>
#include <gtest/gtest.h>

namespace moe::runtime {
namespace {

/// A file of a header, the names, a section's content and the section table.
std::string makeElf() {
  const char names[] = "\0.names\0.moe.payload";
  const std::string content = "the payload";
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  header.e_shstrndx = 1;
  Elf64_Shdr sections[3] = {};
  sections[1].sh_name = 1;
  sections[1].sh_type = SHT_STRTAB;
  sections[1].sh_offset = sizeof header;
  sections[1].sh_size = sizeof names;
  sections[2].sh_name = 8;
  sections[2].sh_type = SHT_PROGBITS;
  sections[2].sh_offset = sizeof header + sizeof names;
  sections[2].sh_size = content.size();
  header.e_shoff = sizeof header + sizeof names + content.size();
  std::string file(reinterpret_cast<char *>(&header), sizeof header);
  file.append(names, sizeof names);
  file += content;
  file.append(reinterpret_cast<char *>(sections), sizeof sections);
  return file;
}

Result<Bytes> find(const std::vector<char> &file, const char *name) {
  return findElfSection(std::as_bytes(std::span(file)), name);
}

TEST(ElfSection, FindsContent) {
  std::string elf = makeElf();
  std::vector<char> file(elf.begin(), elf.end());
  Result<Bytes> section = find(file, ".moe.payload");
  ASSERT_TRUE(section) << section.error().message;
  EXPECT_EQ(std::string(reinterpret_cast<const char *>(section->data()),
                        section->size()),
            "the payload");
  EXPECT_FALSE(find(file, ".moe"));
  EXPECT_FALSE(find(file, ".moe.payload2"));
}

TEST(ElfSection, RefusesEveryCutFile) {
  std::string elf = makeElf();
  for (size_t size = 0; size < elf.size(); ++size) {
    std::vector<char> file(elf.begin(), elf.begin() + int64_t(size));
    EXPECT_FALSE(find(file, ".moe.payload")) << size;
  }
}

TEST(ElfSection, SurvivesEveryChangedByte) {
  std::string elf = makeElf();
  for (size_t at = 0; at < elf.size(); ++at)
    for (char change : {'\x01', '\x7f', '\xff'}) {
      std::vector<char> file(elf.begin(), elf.end());
      file[at] ^= change;
      if (Result<Bytes> section = find(file, ".moe.payload")) {
        volatile std::byte last{};
        for (std::byte byte : *section)
          last = byte;
        (void)last;
      }
    }
}

} // namespace
} // namespace moe::runtime
