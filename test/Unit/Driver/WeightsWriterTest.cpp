//===- WeightsWriterTest.cpp - Bytes arrive, through the cache or past it -===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "lib/Driver/WeightsWriter.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

using namespace moec;

namespace {
/// A file that goes with the test.
struct File {
  llvm::SmallString<128> path;
  int fd;

  explicit File(llvm::StringRef model) {
    EXPECT_FALSE(llvm::sys::fs::createUniqueFile(model, fd, path));
  }
  ~File() {
    ::close(fd);
    llvm::sys::fs::remove(path);
  }
};

/// Where a file system takes O_DIRECT, and where (in memory) it need not.
struct Writers : testing::TestWithParam<std::tuple<bool, std::string>> {};
} // namespace

static std::unique_ptr<WeightsWriter> make(bool isDirect, OpenFile file,
                                           uint64_t offset) {
  return isDirect ? WeightsWriter::pastCache(file, offset)
                  : WeightsWriter::throughCache(file, offset);
}

/// Appends runs of `sizes` in turn until there are `total` bytes; what the file
/// has to hold from `offset` on.
static std::vector<char> fill(WeightsWriter &writer, size_t total,
                              llvm::ArrayRef<size_t> sizes) {
  std::mt19937 random(1);
  std::vector<char> bytes(total);
  std::generate(bytes.begin(), bytes.end(), random);
  llvm::ArrayRef<char> rest = bytes;
  for (size_t i = 0; !rest.empty(); ++i) {
    size_t now = std::min(rest.size(), sizes[i % sizes.size()]);
    EXPECT_FALSE(bool(writer.append(rest.take_front(now))));
    rest = rest.drop_front(now);
  }
  EXPECT_FALSE(bool(writer.finish()));
  return bytes;
}

TEST_P(Writers, WriteEveryByteInItsPlace) {
  auto [isDirect, folder] = GetParam();
  constexpr size_t kPage = size_t(2) << 20, kTotals[] = {0, 1, 5000, 40000001};
  for (uint64_t offset : {uint64_t(0), uint64_t(4160), uint64_t(kPage)})
    for (size_t total : kTotals) {
      File file((llvm::Twine(folder) + "/writer-%%%%%%").str());
      std::vector<char> before(offset, 'h');
      OpenFile open{file.path, file.fd};
      ASSERT_FALSE(bool(open.writeAt(before, 0)));
      std::vector<char> bytes = fill(*make(isDirect, open, offset), total,
                                     {7, 3 << 20, 100, kPage, 0, 20 << 20});
      auto read = llvm::MemoryBuffer::getFile(file.path);
      ASSERT_TRUE(bool(read));
      llvm::StringRef all = (*read)->getBuffer();
      ASSERT_EQ(all.size(), offset + total);
      EXPECT_TRUE(llvm::all_equal(all.take_front(offset)));
      EXPECT_TRUE(all.drop_front(offset) ==
                  llvm::StringRef(bytes.data(), bytes.size()));
    }
}

INSTANTIATE_TEST_SUITE_P(, Writers,
                         testing::Combine(testing::Bool(),
                                          testing::Values<std::string>(".", "/dev/shm")));

TEST(WeightsWriter, NamesTheFileThatIsFull) {
  for (bool isDirect : {false, true}) {
    int fd = ::open("/dev/full", O_WRONLY);
    ASSERT_GE(fd, 0);
    std::unique_ptr<WeightsWriter> writer =
        make(isDirect, {"model.weights", fd}, 0);
    std::vector<char> bytes(40 << 20, 1);
    llvm::Error error = writer->append(bytes);
    if (!error)
      error = writer->finish();
    EXPECT_EQ(llvm::toString(std::move(error)),
              "model.weights: writing the weights failed: No space left on "
              "device");
    writer.reset();
    ::close(fd);
  }
}
