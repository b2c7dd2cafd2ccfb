//===- ChunkInvarianceTest.cpp - Bits do not depend on chunks or threads --===//
//
// Part of moe-mlir. What an executable computes for a row must be the same,
// bit for bit, however a prompt is cut and however many threads there are.
//
//===----------------------------------------------------------------------===//

#include "Chunks.h"
#include "RandomGraph.h"

#include "moe/Reference/RandomTensor.h"

#include <gtest/gtest.h>

using namespace moec;
using namespace moec::reference;
using namespace moec::test;

namespace {

void expectSameBits(const std::string &text, uint64_t seed,
                    const Variant &variant, int64_t rows) {
  RandomCase graph(text, seed, variant);
  SCOPED_TRACE(graph.describe());
  llvm::Error error = graph.prepare();
  ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
  expectSameBitsInChunks(graph, rows);
}

TEST(ChunkInvariance, Layers) {
  std::vector<Variant> variants = getVariants();
  uint64_t first = numberFrom("MOE_FIRST_SEED", 1001);
  for (uint64_t seed = first; seed < first + numberFrom("MOE_SEEDS", 8);
       ++seed)
    expectSameBits(makeLayerGraph(seed), seed,
                   variants[seed % variants.size()], 70);
}

TEST(ChunkInvariance, Blocks) {
  std::vector<Variant> variants = getVariants();
  uint64_t first = numberFrom("MOE_FIRST_SEED", 1001);
  for (uint64_t seed = first; seed < first + numberFrom("MOE_SEEDS", 8);
       ++seed)
    expectSameBits(makeBlockGraph(seed), seed,
                   variants[seed % variants.size()], 150);
}

/// All results of one call, by any number of threads.
void expectSameBitsByThreads(const std::string &text, uint64_t seed,
                             const Variant &variant, int64_t rows) {
  RandomCase graph(text, seed, variant);
  SCOPED_TRACE(graph.describe());
  llvm::Error error = graph.prepare();
  ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
  Sequence sequence;
  auto whole = graph.call(0, rows, 1, sequence);
  ASSERT_TRUE(bool(whole)) << llvm::toString(whole.takeError());
  for (int64_t slots : {2, 3, 7}) {
    auto other = graph.call(0, rows, slots, sequence);
    ASSERT_TRUE(bool(other)) << llvm::toString(other.takeError());
    for (auto [a, b] : llvm::zip_equal(*whole, *other))
      ASSERT_EQ(bits(a.data), bits(b.data)) << "slots " << slots;
  }
}

/// With a capacity a row depends on the others of its call, and on nothing
/// else; without one on no other row.
TEST(ChunkInvariance, Plans) {
  std::vector<Variant> variants = getVariants();
  uint64_t first = numberFrom("MOE_FIRST_SEED", 1001);
  for (uint64_t seed = first; seed < first + numberFrom("MOE_SEEDS", 12);
       ++seed) {
    std::string text = makePlanGraph(seed);
    const Variant &variant = variants[seed % variants.size()];
    expectSameBitsByThreads(text, seed, variant, 70);
    if (text.find("overflow") == std::string::npos)
      expectSameBits(text, seed, variant, 70);
  }
}

/// Chunks of the same sequence and how many slots compute them.
struct LongCut {
  std::vector<int64_t> chunks;
  int64_t slots;
};

/// Contexts that cross the ends of segments, at 1024 and 2048 positions. The
/// last rows come one by one as well, with numbers of slots for which slots
/// take segments, not heads.
void expectSameBitsOverSegments(const AttentionSizes &sizes,
                                const Variant &variant) {
  constexpr int64_t rows = 2100;
  RandomCase graph(makeAttentionGraph(sizes), 7, variant, rows);
  SCOPED_TRACE(graph.describe());
  llvm::Error error = graph.prepare();
  ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
  std::vector<double> whole = runInChunks(graph, rows, {rows}, 1);
  EXPECT_EQ(graph.getSegmentCalls(), 0);
  std::vector<int64_t> decode = {2040};
  decode.resize(61, 1);
  for (const LongCut &cut :
       {LongCut{{rows}, 2}, LongCut{{rows}, 3}, LongCut{{1000, 50, 3}, 3},
        LongCut{decode, 1}, LongCut{decode, 2}, LongCut{decode, 3},
        LongCut{decode, 7}}) {
    std::vector<double> parts =
        runInChunks(graph, rows, cut.chunks, cut.slots);
    ASSERT_EQ(parts.size(), whole.size());
    for (size_t i = 0; i < whole.size(); ++i)
      ASSERT_EQ(bits(parts[i]), bits(whole[i]))
          << "row " << i / (whole.size() / rows) << ", slots " << cut.slots
          << ", chunks of " << cut.chunks[0] << ", " << cut.chunks.size();
  }
  EXPECT_GT(graph.getSegmentCalls(), 0) << "slots never took segments";
}

TEST(ChunkInvariance, Segments) {
  for (const Variant &variant : getVariants()) {
    for (int64_t headDim : {20, 7})
      expectSameBitsOverSegments({.heads = 6, .kvHeads = 1, .headDim = headDim,
                                  .window = 1100, .cache = "bf16",
                                  .queries = "bf16"},
                                 variant);
    expectSameBitsOverSegments({.heads = 6, .kvHeads = 2, .headDim = 7,
                                .window = 1100, .cache = "i8"},
                               variant);
    if (variant.machine.kernels.recipe != kernels::Recipe::WidenFMA)
      continue; // only pairs of bf16 have a recipe
    expectSameBitsOverSegments({}, variant);
    expectSameBitsOverSegments({.heads = 5, .kvHeads = 1, .headDim = 20,
                                .window = 1100, .cache = "bf16",
                                .sinks = true},
                               variant);
    expectSameBitsOverSegments({.heads = 3, .kvHeads = 3, .headDim = 8,
                                .window = 30, .cache = "f16"},
                               variant);
    expectSameBitsOverSegments({.headDim = 20, .cache = "i8"}, variant);
  }
}

/// A call of no rows leaves a cache as it is, also amid a pair of positions.
TEST(ChunkInvariance, NoRowsWriteNothing) {
  for (const Variant &variant : getVariants()) {
    RandomCase graph(makeAttentionGraph({.cache = "bf16"}), 7, variant);
    llvm::Error error = graph.prepare();
    ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
    Sequence sequence;
    auto first = graph.call(0, 3, 2, sequence);
    ASSERT_TRUE(bool(first)) << llvm::toString(first.takeError());
    std::vector<char> before(sequence.cacheBytes[0].bytes.begin(),
                             sequence.cacheBytes[0].bytes.end());
    auto none = graph.call(3, 3, 2, sequence);
    ASSERT_TRUE(bool(none)) << llvm::toString(none.takeError());
    EXPECT_TRUE(llvm::equal(before, sequence.cacheBytes[0].bytes));
  }
}

/// Memory of positions that no row has been stored for can hold anything.
TEST(ChunkInvariance, NothingReadsWhatIsNotStored) {
  for (const Variant &variant : getVariants())
    for (const char *cache : {"f32", "bf16", "f16", "i8"}) {
      RandomCase graph(makeAttentionGraph({.headDim = 7, .cache = cache}), 7,
                       variant);
      SCOPED_TRACE(graph.describe());
      llvm::Error error = graph.prepare();
      ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
      std::vector<double> found[2];
      for (int garbage : {0, 1}) {
        Sequence sequence;
        cantFail(graph.call(0, 0, 1, sequence));
        llvm::fill(sequence.cacheBytes[0].bytes, garbage ? 0xff : 0);
        for (int64_t position = 0; int64_t rows : {1, 6, 60, 1, 3}) {
          auto results = graph.call(position, position + rows, 2, sequence);
          ASSERT_TRUE(bool(results)) << llvm::toString(results.takeError());
          llvm::append_range(found[garbage], results->front().data);
          position += rows;
        }
      }
      ASSERT_EQ(found[0].size(), found[1].size());
      for (auto [a, b] : llvm::zip_equal(found[0], found[1]))
        ASSERT_EQ(bits(a), bits(b)) << cache;
    }
}

/// Attention blocks that start with the chunk must show, or this test could
/// not see a broken contract.
TEST(ChunkInvariance, NoticesBlocksThatStartWithTheChunk) {
  Variant variant = getVariants().front();
  variant.machine.kernels.blocksFromChunk = true;
  int64_t differing = 0;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    RandomCase graph(makeBlockGraph(seed), seed, variant);
    llvm::Error error = graph.prepare();
    ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
    differing += runInChunks(graph, 150, {150}, 1) !=
                 runInChunks(graph, 150, {5, 17, 2, 13}, 1);
  }
  EXPECT_GT(differing, 0);
}

} // namespace
