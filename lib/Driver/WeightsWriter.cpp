//===- WeightsWriter.cpp - Writes weights to an open file -----------------===//
//
// Part of moe-mlir. One buffer is filled while the other is written. What comes
// before the first whole huge page of the file, and behind the last, goes
// through the cache: only whole blocks of the disk may go past it.
//
//===----------------------------------------------------------------------===//

#include "WeightsWriter.h"

#include "Diagnostics.h"

#include "moe/Driver/Pack.h"

#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemAlloc.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <utility>

using namespace moec;

static constexpr uint64_t kHugePage = uint64_t(2) << 20;
static constexpr uint64_t kBuffer = 8 * kHugePage;

llvm::Error OpenFile::writeAt(llvm::ArrayRef<char> bytes,
                              uint64_t offset) const {
  while (!bytes.empty()) {
    ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), offset);
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return makeError(path + ": writing the weights failed: " +
                       std::strerror(done < 0 ? errno : ENOSPC));
    bytes = bytes.drop_front(done);
    offset += done;
  }
  return llvm::Error::success();
}

bool moec::isPastCache(uint64_t bytes, uint64_t memory) {
  return bytes > memory / 4;
}

uint64_t moec::machineMemory() {
  return uint64_t(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
}

/// Opens the file once more: O_DIRECT is the open file's, and what is not whole
/// blocks must not have it. By the descriptor, since its name may have changed.
static int openPastCache(int fd) {
  std::string self = "/proc/self/fd/" + std::to_string(fd);
  return ::open(self.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
}

static char *allocate() {
  return static_cast<char *>(llvm::allocate_buffer(kBuffer, kHugePage));
}

WeightsWriter::WeightsWriter(OpenFile file, uint64_t offset, bool pastCache)
    : file(file), direct(pastCache ? openPastCache(file.fd) : -1),
      offset(offset), capacity(llvm::alignTo(offset, kHugePage) - offset),
      filling(allocate()), writing(allocate()) {
  if (!capacity)
    capacity = kBuffer;
}

WeightsWriter::~WeightsWriter() {
  llvm::consumeError(wait());
  if (direct >= 0)
    ::close(direct);
  for (char *buffer : {filling, writing})
    llvm::deallocate_buffer(buffer, kBuffer, kHugePage);
}

llvm::Error WeightsWriter::append(llvm::ArrayRef<char> bytes) {
  while (!bytes.empty()) {
    size_t now = std::min<uint64_t>(bytes.size(), capacity - filled);
    std::memcpy(filling + filled, bytes.data(), now);
    bytes = bytes.drop_front(now);
    filled += now;
    if (filled == capacity)
      if (llvm::Error error = startWriting())
        return error;
  }
  return llvm::Error::success();
}

llvm::Error WeightsWriter::finish() {
  if (llvm::Error error = wait())
    return error;
  return write({filling, filled}, offset);
}

llvm::Error WeightsWriter::wait() {
  return written.valid() ? written.get() : llvm::Error::success();
}

llvm::Error WeightsWriter::startWriting() {
  if (llvm::Error error = wait())
    return error;
  std::swap(filling, writing);
  llvm::ArrayRef<char> bytes(writing, filled);
  written = std::async(kThreadIfPossible,
                       [this, bytes, at = offset] { return write(bytes, at); });
  offset += filled;
  filled = 0;
  capacity = kBuffer;
  return llvm::Error::success();
}

/// What a file system refuses past the cache, or does not take, goes through
/// it, which also finds the reason.
llvm::Error WeightsWriter::write(llvm::ArrayRef<char> bytes,
                                 uint64_t at) const {
  uint64_t whole =
      at % kHugePage ? 0 : llvm::alignDown(bytes.size(), kHugePage);
  ssize_t done = 0;
  if (direct >= 0 && whole)
    done = std::max<ssize_t>(::pwrite(direct, bytes.data(), whole, at), 0);
  return file.writeAt(bytes.drop_front(done), at + done);
}
