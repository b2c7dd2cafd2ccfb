//===- CompiledVsReferenceTest.cpp - Compiled code against the reference --===//
//
// Part of moe-mlir. Random graphs are compiled through every phase, run and
// compared with the interpreter, element by element, within the bound that
// ErrorBound gives. Rows whose choice of experts rounding may change are
// skipped, and counted.
//
// MOE_FIRST_SEED and MOE_SEEDS choose the seeds.
//
//===----------------------------------------------------------------------===//

#include "Comparison.h"
#include "RandomGraph.h"

#include "moe/Reference/RandomTensor.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace moec;
using namespace moec::reference;
using namespace moec::test;

namespace {

/// Graphs of `count` seeds, each called for these numbers of rows.
void compareGraphs(std::string (*makeGraph)(uint64_t seed), uint64_t count,
                   ArrayRef<int64_t> calls) {
  std::vector<Variant> variants = getVariants();
  uint64_t first = numberFrom("MOE_FIRST_SEED", 1);
  Tally tally;
  for (uint64_t seed = first; seed < first + numberFrom("MOE_SEEDS", count);
       ++seed) {
    RandomCase graph(makeGraph(seed), seed, variants[seed % variants.size()]);
    SCOPED_TRACE(graph.describe());
    llvm::Error error = graph.prepare();
    if (error) {
      ADD_FAILURE() << llvm::toString(std::move(error));
      continue;
    }
    Comparison comparison(graph, tally);
    int64_t position = 0;
    for (int64_t tokens : calls) {
      comparison.step(position, position + tokens, tokens % 2 ? 3 : 1);
      position += tokens;
    }
  }
  llvm::outs() << "skipped " << tally.skipped << " of " << tally.rows
               << " rows\n";
  EXPECT_LE(tally.skipped * 20, tally.rows) << "too many ambiguous choices";
}

TEST(CompiledVsReference, Layers) {
  compareGraphs(makeLayerGraph, 24, {0, 1, 2, 3, 7, 17, 40});
}

TEST(CompiledVsReference, Plans) {
  compareGraphs(makePlanGraph, 32, {0, 1, 3, 17, 40});
}

TEST(CompiledVsReference, Blocks) {
  std::vector<Variant> variants = getVariants();
  uint64_t first = numberFrom("MOE_FIRST_SEED", 1);
  Tally tally;
  for (uint64_t seed = first; seed < first + numberFrom("MOE_SEEDS", 12);
       ++seed) {
    RandomCase graph(makeBlockGraph(seed), seed,
                     variants[seed % variants.size()]);
    SCOPED_TRACE(graph.describe());
    llvm::Error error = graph.prepare();
    if (error) {
      ADD_FAILURE() << llvm::toString(std::move(error));
      continue;
    }
    // Chunks over more than two blocks of 64 positions.
    Comparison comparison(graph, tally);
    RandomNumbers numbers(seed);
    for (int64_t position = 0; position < 140;) {
      int64_t tokens = std::min(140 - position, numbers.integer(0, 60));
      comparison.step(position, position + tokens, tokens % 2 ? 3 : 1);
      position += tokens;
    }
  }
}

/// Contexts of three segments.
TEST(CompiledVsReference, Segments) {
  std::vector<Variant> variants = getVariants();
  Tally tally;
  for (const AttentionSizes &sizes :
       {AttentionSizes{.headDim = 12, .sinks = true},
        AttentionSizes{.heads = 6, .kvHeads = 1, .headDim = 8, .window = 1050,
                       .cache = "bf16"},
        AttentionSizes{.heads = 6, .kvHeads = 2, .headDim = 18,
                       .cache = "bf16", .queries = "bf16"},
        AttentionSizes{.heads = 2, .kvHeads = 1, .headDim = 7,
                       .cache = "bf16", .queries = "bf16", .sinks = true},
        AttentionSizes{.heads = 4, .kvHeads = 1, .headDim = 1,
                       .cache = "bf16"},
        AttentionSizes{.heads = 3, .kvHeads = 3, .headDim = 20,
                       .cache = "i8"}}) {
    RandomCase graph(makeAttentionGraph(sizes), 11,
                     variants[sizes.window ? 0 : variants.size() - 1], 2100);
    SCOPED_TRACE(graph.describe());
    llvm::Error error = graph.prepare();
    ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
    Comparison comparison(graph, tally);
    int64_t position = 0;
    for (int64_t tokens : {1020, 9, 1017, 1, 1, 1, 51}) {
      comparison.step(position, position + tokens, 5);
      position += tokens;
    }
    EXPECT_GT(graph.getSegmentCalls(), 0) << "slots never took segments";
  }
}

/// Caches of q8_0 where bytes are multiplied four at a time: heads of more than
/// one strip of columns, and of a last four that is not whole.
TEST(CompiledVsReference, BytesInFours) {
  int64_t variants = 0;
  Tally tally;
  for (const Variant &variant : getVariants()) {
    if (!variant.machine.kernels.dotQuads)
      continue;
    ++variants;
    for (const AttentionSizes &sizes :
         {AttentionSizes{.heads = 6, .kvHeads = 1, .headDim = 130,
                         .window = 70, .cache = "i8", .queries = "bf16",
                         .sinks = true},
          AttentionSizes{.heads = 2, .kvHeads = 2, .headDim = 256,
                         .cache = "i8"}}) {
      RandomCase graph(makeAttentionGraph(sizes), 12, variant, 140);
      SCOPED_TRACE(graph.describe());
      llvm::Error error = graph.prepare();
      ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
      Comparison comparison(graph, tally);
      for (int64_t position = 0; int64_t tokens : {1, 61, 3, 1, 70}) {
        comparison.step(position, position + tokens, 3);
        position += tokens;
      }
    }
  }
  EXPECT_GE(variants, 3);
}

} // namespace
