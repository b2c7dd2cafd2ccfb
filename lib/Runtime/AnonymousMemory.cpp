//===- AnonymousMemory.cpp - Zero-filled memory for KV and arena ----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/Session.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>

namespace moe::runtime {

Result<AnonymousMemory> AnonymousMemory::allocate(int64_t bytes,
                                                  const char *what) {
  AnonymousMemory memory;
  if (bytes == 0)
    return memory;
  void *address = mmap(nullptr, size_t(bytes), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED)
    return fail("cannot reserve ", bytes, " bytes for the ", what, ": ",
                std::strerror(errno));
  // Advice only: without huge pages it is slower and as correct.
  madvise(address, size_t(bytes), MADV_HUGEPAGE);
  memory.address = address;
  memory.bytes = bytes;
  return memory;
}

AnonymousMemory::AnonymousMemory(AnonymousMemory &&other) noexcept
    : address(std::exchange(other.address, nullptr)),
      bytes(std::exchange(other.bytes, 0)) {}

AnonymousMemory &AnonymousMemory::operator=(AnonymousMemory &&other) noexcept {
  std::swap(address, other.address);
  std::swap(bytes, other.bytes);
  return *this;
}

AnonymousMemory::~AnonymousMemory() {
  if (address)
    munmap(address, size_t(bytes));
}

} // namespace moe::runtime
