//===- WeightsWriter.cpp - Writes weights to an open file -----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "WeightsWriter.h"

#include "Diagnostics.h"

#include "moe/Driver/Pack.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>
#include <fcntl.h>
#include <future>
#include <optional>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

using namespace moec;

static constexpr uint64_t kHugePage = uint64_t(2) << 20;

llvm::Error OpenFile::writeBothAt(llvm::ArrayRef<char> first,
                                  llvm::ArrayRef<char> second,
                                  uint64_t offset) const {
  while (!first.empty() || !second.empty()) {
    iovec runs[2] = {{const_cast<char *>(first.data()), first.size()},
                     {const_cast<char *>(second.data()), second.size()}};
    ssize_t done = ::pwritev(fd, runs, 2, offset);
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return makeError(path + ": writing the weights failed: " +
                       std::strerror(done < 0 ? errno : ENOSPC));
    size_t ofFirst = std::min<size_t>(done, first.size());
    first = first.drop_front(ofFirst);
    second = second.drop_front(done - ofFirst);
    offset += done;
  }
  return llvm::Error::success();
}

WeightsWriter::~WeightsWriter() = default;

namespace {
class CachedWriter : public WeightsWriter {
public:
  CachedWriter(OpenFile file, uint64_t offset) : file(file), offset(offset) {
    rest.reserve(kHugePage);
  }

  llvm::Error append(llvm::ArrayRef<char> bytes) override {
    uint64_t end = offset + rest.size() + bytes.size();
    uint64_t whole = llvm::alignDown(end, kHugePage);
    size_t now = whole > offset ? whole - offset - rest.size() : 0;
    if (now) {
      if (llvm::Error error =
              file.writeBothAt(rest, bytes.take_front(now), offset))
        return error;
      rest.clear();
      offset = whole;
    }
    llvm::append_range(rest, bytes.drop_front(now));
    return llvm::Error::success();
  }
  llvm::Error finish() override { return file.writeAt(rest, offset); }

private:
  OpenFile file;
  uint64_t offset;        ///< of `rest` in the file
  std::vector<char> rest; ///< to be written; ends before its page does
};

/// One buffer is filled while the other is written. Before the first whole huge
/// page and behind the last bytes go through the cache: only whole blocks of
/// the disk may go past it.
class DirectWriter : public WeightsWriter {
public:
  DirectWriter(OpenFile file, uint64_t offset)
      : file(file), offset(offset),
        limit(llvm::alignTo(offset, kHugePage) - offset) {
    // The name may be gone; the descriptor has none of the flag for all.
    std::string self = "/proc/self/fd/" + std::to_string(file.fd);
    direct = ::open(self.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
    if (!limit)
      limit = kBuffer;
  }
  ~DirectWriter() override {
    if (written.valid())
      llvm::consumeError(written.get());
    if (direct >= 0)
      ::close(direct);
  }

  llvm::Error append(llvm::ArrayRef<char> bytes) override {
    while (!bytes.empty()) {
      size_t now = std::min<uint64_t>(bytes.size(), limit - filled);
      std::memcpy(filling.get() + filled, bytes.data(), now);
      bytes = bytes.drop_front(now);
      filled += now;
      if (filled == limit)
        if (llvm::Error error = flush())
          return error;
    }
    return llvm::Error::success();
  }
  llvm::Error finish() override {
    if (llvm::Error error = flush())
      return error;
    return wait();
  }

private:
  static constexpr uint64_t kBuffer = 8 * kHugePage;
  struct Free {
    void operator()(char *bytes) const { std::free(bytes); }
  };
  using Buffer = std::unique_ptr<char, Free>;
  static Buffer allocate() {
    return Buffer(static_cast<char *>(std::aligned_alloc(kHugePage, kBuffer)));
  }

  llvm::Error wait() {
    return written.valid() ? written.get() : llvm::Error::success();
  }
  /// Starts to write what was filled.
  llvm::Error flush() {
    if (llvm::Error error = wait())
      return error;
    std::swap(filling, writing);
    llvm::ArrayRef<char> bytes(writing.get(), filled);
    written = std::async(kThreadIfPossible, [this, bytes, at = offset] {
      return write(bytes, at);
    });
    offset += filled;
    filled = 0;
    limit = kBuffer;
    return llvm::Error::success();
  }
  /// A file system that refuses, or takes less, gets it through the cache,
  /// which also finds the reason.
  llvm::Error write(llvm::ArrayRef<char> bytes, uint64_t at) const {
    ssize_t done = 0;
    if (direct >= 0 && at % kHugePage == 0 && bytes.size() % kHugePage == 0)
      done = std::max<ssize_t>(::pwrite(direct, bytes.data(), bytes.size(), at),
                               0);
    return file.writeAt(bytes.drop_front(done), at + done);
  }

  OpenFile file;
  int direct;                         ///< the same file past the cache, or -1
  uint64_t offset, limit, filled = 0; ///< of `filling`: in the file, its size
  Buffer filling = allocate(), writing = allocate();
  std::future<llvm::Error> written; ///< `writing`
};
} // namespace

std::unique_ptr<WeightsWriter> WeightsWriter::throughCache(OpenFile file,
                                                           uint64_t offset) {
  return std::make_unique<CachedWriter>(file, offset);
}

std::unique_ptr<WeightsWriter> WeightsWriter::pastCache(OpenFile file,
                                                        uint64_t offset) {
  return std::make_unique<DirectWriter>(file, offset);
}

std::unique_ptr<WeightsWriter> WeightsWriter::of(OpenFile file, uint64_t offset,
                                                 uint64_t bytes) {
  uint64_t memory =
      uint64_t(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  return bytes > memory / 4 ? pastCache(file, offset)
                            : throughCache(file, offset);
}
