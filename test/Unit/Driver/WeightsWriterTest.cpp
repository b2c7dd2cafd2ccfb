//===- WeightsWriterTest.cpp - Bytes arrive, through the cache or past it -===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "lib/Driver/WeightsWriter.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <random>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <vector>

using namespace moec;

namespace {
constexpr uint64_t kHugePage = 2 << 20, kBuffer = 16 << 20;

/// A file in this directory that goes with the test.
struct File {
  llvm::SmallString<128> path;
  int fd = -1;

  File() {
    std::error_code failed =
        llvm::sys::fs::createUniqueFile("./writer-%%%%%%", fd, path);
    EXPECT_FALSE(failed) << failed.message();
  }
  ~File() {
    ::close(fd);
    llvm::sys::fs::remove(path);
  }
  /// Whether it lies on a file system whose O_DIRECT passes the cache: others
  /// may take the flag and go through it.
  bool passesCache() const {
    struct statfs system;
    return ::fstatfs(fd, &system) == 0 && (system.f_type == EXT4_SUPER_MAGIC ||
                                           system.f_type == XFS_SUPER_MAGIC);
  }
};

/// Whether they write past the cache.
struct WeightsWriters : testing::TestWithParam<bool> {};
} // namespace

static std::string messageOf(llvm::Error error) {
  return llvm::toString(std::move(error));
}

static std::vector<char> someBytes(size_t count) {
  std::mt19937 random(1);
  std::vector<char> bytes(count);
  std::generate(bytes.begin(), bytes.end(), random);
  return bytes;
}

/// Appends runs of several sizes; the first message, if any.
static std::string write(OpenFile file, uint64_t offset, bool pastCache,
                         llvm::ArrayRef<char> bytes) {
  constexpr size_t kSizes[] = {7, 3 << 20, 100, kHugePage, 0, 20 << 20};
  WeightsWriter writer(file, offset, pastCache);
  for (size_t i = 0; !bytes.empty(); ++i) {
    size_t now = std::min(bytes.size(), kSizes[i % std::size(kSizes)]);
    if (llvm::Error error = writer.append(bytes.take_front(now)))
      return messageOf(std::move(error));
    bytes = bytes.drop_front(now);
  }
  return messageOf(writer.finish());
}

TEST_P(WeightsWriters, WriteEveryByteInItsPlaceAndNoOther) {
  constexpr uint64_t kBehind = 10000;
  for (uint64_t offset : {uint64_t(0), uint64_t(4160), kHugePage})
    for (uint64_t end : {offset, offset + 1, offset + 5000, kBuffer,
                         kBuffer + 2 * kHugePage, kBuffer + kHugePage + 77}) {
      File file;
      OpenFile open{file.path, file.fd};
      std::vector<char> expected(std::max(end, offset) + kBehind, 'h');
      ASSERT_EQ(messageOf(open.writeAt(expected, 0)), "");
      std::vector<char> bytes = someBytes(end - offset);
      EXPECT_EQ(write(open, offset, GetParam(), bytes), "");
      std::copy(bytes.begin(), bytes.end(), expected.begin() + offset);
      auto read = llvm::MemoryBuffer::getFile(file.path);
      ASSERT_TRUE(bool(read));
      EXPECT_TRUE((*read)->getBuffer() ==
                  llvm::StringRef(expected.data(), expected.size()))
          << offset << " to " << end;
    }
}

/// The limit lies in the second buffer, whose first part a file system may
/// still take.
TEST_P(WeightsWriters, NameTheFileThatCannotGrow) {
  File file;
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit low{kBuffer + kHugePage + 4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);
  std::vector<char> bytes = someBytes(3 * kBuffer);
  std::string message = write({"model.weights", file.fd}, 0, GetParam(), bytes);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(message,
            "model.weights: writing the weights failed: File too large");
  auto read = llvm::MemoryBuffer::getFile(file.path);
  ASSERT_TRUE(bool(read));
  EXPECT_TRUE((*read)->getBuffer() ==
              llvm::StringRef(bytes.data(), low.rlim_cur));
}

INSTANTIATE_TEST_SUITE_P(, WeightsWriters, testing::Bool(),
                         [](const auto &info) {
                           return info.param ? "PastCache" : "ThroughCache";
                         });

TEST(WeightsWriter, LeavesTheCacheAsItIs) {
  File file;
  if (!file.passesCache())
    GTEST_SKIP() << "neither ext4 nor XFS";
  constexpr uint64_t kBytes = 2 * kBuffer;
  EXPECT_EQ(write({file.path, file.fd}, 0, true, someBytes(kBytes)), "");
  void *mapped = ::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, file.fd, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  std::vector<unsigned char> pages(kBytes / 4096);
  ASSERT_EQ(::mincore(mapped, kBytes, pages.data()), 0);
  EXPECT_EQ(std::count(pages.begin(), pages.end(), 1), 0);
  ::munmap(mapped, kBytes);
}

TEST(WeightsWriter, GoesPastTheCacheAboveAQuarterOfTheMemory) {
  EXPECT_FALSE(isPastCache(1000, 4000));
  EXPECT_TRUE(isPastCache(1001, 4000));
  EXPECT_GT(machineMemory(), uint64_t(1) << 28);
}
