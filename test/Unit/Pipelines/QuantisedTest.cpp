//===- QuantisedTest.cpp - Products with quantised weights ----------------===//
//
// Part of moe-mlir. Random graphs whose matrices are quantised: against the
// reference, in chunks, and by every kind of instruction.
//
//===----------------------------------------------------------------------===//

#include "Chunks.h"
#include "Comparison.h"
#include "RandomGraph.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace mlir;
using namespace moec;
using namespace moec::test;
using lm::Format;

namespace {

class Quantised : public testing::TestWithParam<Format> {};

/// A layer of odd sizes: columns that are no multiple of a group, rows that
/// are none of a panel.
std::string makeOddLayer() {
  return R"(
func.func @layer(%x: tensor<?x72xf32>, %g: tensor<5x72xf32>,
                 %gu: tensor<5x80x72xf32>, %d: tensor<5x72x40xf32>)
    -> tensor<?x72xf32> {
  %y = moe.layer %x router(%g) experts(%gu, %d)
      #moe.router<top_k = 3, renormalize = l1> <silu>
      : (tensor<?x72xf32>, tensor<5x72xf32>, tensor<5x80x72xf32>,
         tensor<5x72x40xf32>) -> tensor<?x72xf32>
  return %y : tensor<?x72xf32>
})";
}

void compareWithReference(RandomCase &graph, Format format, Tally &tally) {
  SCOPED_TRACE(graph.describe());
  llvm::Error error = graph.prepare(format);
  ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
  Comparison comparison(graph, tally);
  int64_t position = 0;
  for (int64_t tokens : {0, 1, 3, 17, 40}) {
    comparison.step(position, position + tokens, tokens % 2 ? 3 : 1);
    position += tokens;
  }
}

/// All variants, with rows as integers and as floats.
std::vector<Variant> getActivationVariants() {
  std::vector<Variant> variants = getVariants();
  for (Variant variant : getVariants()) {
    variant.name += "-float-rows";
    variant.machine.kernels.floatActivations = true;
    variants.push_back(variant);
  }
  return variants;
}

TEST_P(Quantised, AgreesWithTheReference) {
  std::vector<Variant> variants = getActivationVariants();
  uint64_t first = numberFrom("MOE_FIRST_SEED", 1);
  Tally tally;
  for (const Variant &variant : variants) {
    RandomCase odd(makeOddLayer(), 1, variant);
    compareWithReference(odd, GetParam(), tally);
  }
  for (uint64_t seed = first; seed < first + numberFrom("MOE_SEEDS", 4);
       ++seed) {
    for (uint64_t other : {seed, seed + variants.size() / 2}) {
      const Variant &variant = variants[other % variants.size()];
      RandomCase layer(makeLayerGraph(seed), seed, variant);
      compareWithReference(layer, GetParam(), tally);
      RandomCase block(makeBlockGraph(seed), seed, variant);
      compareWithReference(block, GetParam(), tally);
    }
  }
  EXPECT_LE(tally.skipped * 20, tally.rows) << "too many ambiguous choices";
}

TEST_P(Quantised, HasTheSameBitsInChunks) {
  std::vector<Variant> variants = getActivationVariants();
  for (uint64_t seed = 1; seed <= variants.size(); ++seed)
    for (const std::string &text :
         {makeLayerGraph(seed), makeBlockGraph(seed), makeOddLayer()}) {
      RandomCase graph(text, seed, variants[seed % variants.size()]);
      SCOPED_TRACE(graph.describe());
      llvm::Error error = graph.prepare(GetParam());
      ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
      expectSameBitsInChunks(graph, 70);
    }
}

/// One product, which reads the graph's argument: its rows are exact.
std::string makeLinear() {
  return R"(
func.func @linear(%x: tensor<?x200xf32>, %w: tensor<50x200xf32>)
    -> tensor<?x50xf32> {
  %y = lm.linear %x, %w : (tensor<?x200xf32>, tensor<50x200xf32>)
      -> tensor<?x50xf32>
  return %y : tensor<?x50xf32>
})";
}

/// Numbers of one magnitude, whose signs go through patterns of four columns,
/// another for each row: integers and sums of them are as large as they can be.
reference::Tensor makeExtremes(int64_t rows, int64_t columns,
                               double magnitude) {
  reference::Tensor tensor(reference::Element::F32, {rows, columns});
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      tensor.data[row * columns + column] =
          (row >> column % 4) % 2 ? -magnitude : magnitude;
  return tensor;
}

/// Sums end near the ends of what holds them, in each half of a lane with
/// another sign, and one row's is no number: wherever they are held in less
/// than 32 bits (VPMADDUBSW), others that are not have the same bits.
TEST_P(Quantised, HasTheSameBitsAtTheEndsOfSums) {
  constexpr int64_t kRows = 18, kColumns = 50, kInner = 200;
  reference::Tensor x = makeExtremes(kRows, kInner, 1);
  x.data[16 * kInner + 70] = NAN;
  x.data[17 * kInner + 70] = INFINITY;
  std::vector<double> expected;
  for (Variant variant : getVariants())
    for (bool emulate : {false, true}) {
      variant.machine.kernels.emulate |= emulate;
      RandomCase graph(makeLinear(), 3, variant, kRows);
      graph.setArgument(0, x);
      // MXFP4's largest number is 6, so of 1.5, but not of 1.
      graph.setArgument(1, makeExtremes(kColumns, kInner, 1.5));
      SCOPED_TRACE(graph.describe());
      llvm::Error error = graph.prepare(GetParam());
      ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
      std::vector<double> actual = runInChunks(graph, kRows, {1, 2, 15}, 2);
      for (int64_t i = 16 * kColumns; i < kRows * kColumns; ++i)
        ASSERT_TRUE(std::isnan(actual[i])) << i;
      actual.resize(16 * kColumns);
      if (expected.empty())
        expected = actual;
      ASSERT_EQ(bits(actual), bits(expected));
    }
}

/// Sums of integers are exact: lanes, instructions and their emulation agree.
TEST_P(Quantised, HasTheSameBitsByEveryInstruction) {
  std::vector<double> expected;
  std::vector<Variant> variants = getVariants();
  auto native = llvm::find_if(variants, [](const Variant &variant) {
    return variant.machine.kernels.dotQuads && !variant.machine.kernels.emulate;
  });
  if (native != variants.end()) {
    Variant half = *native; // VPDPBUSD of 8 lanes, as in AVX-VNNI
    half.name += "-of-8-lanes";
    half.machine.kernels.lanes = 8;
    variants.push_back(half);
  }
  variants.push_back(variants.front()); // SDOT, as only emulation has it here
  variants.back().name = "signed-emulated";
  variants.back().machine.kernels.signedQuads = true;
  variants.back().machine.kernels.emulate = true;
  for (Variant variant : variants)
    for (bool emulate : {false, true}) {
      variant.machine.kernels.emulate |= emulate;
      RandomCase graph(makeLinear(), 3, variant);
      SCOPED_TRACE(graph.describe());
      llvm::Error error = graph.prepare(GetParam());
      ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
      std::vector<double> actual = runInChunks(graph, 110, {70, 5, 1, 34}, 2);
      if (expected.empty())
        expected = actual;
      ASSERT_EQ(bits(actual), bits(expected))
          << (emulate ? "emulated" : "native");
    }
}

/// Calls of no row, one, a few, and more than a tile holds.
std::vector<double> runOdd(RandomCase &graph, int64_t slots) {
  return runInChunks(graph, 21, {0, 1, 3, 17}, slots);
}

/// Rows of floats: the bits of the same graph with f32 weights that are the
/// format's numbers.
TEST_P(Quantised, OfFloatRowsHasTheBitsOfF32Weights) {
  std::vector<double> products;
  for (Variant variant : getVariants())
    for (bool emulate : {false, true})
      for (const std::string &text : {makeOddLayer(), makeLinear()}) {
        variant.machine.kernels.emulate |= emulate;
        Variant floatRows = variant;
        floatRows.machine.kernels.floatActivations = true;
        RandomCase floats(text, 5, variant);
        floats.useNumbersOf(GetParam());
        ASSERT_FALSE(bool(floats.prepare()));
        RandomCase quantised(text, 5, floatRows);
        SCOPED_TRACE(quantised.describe());
        llvm::Error error = quantised.prepare(GetParam());
        ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
        std::vector<double> expected = runOdd(floats, 1);
        for (int64_t slots : {1, 3})
          ASSERT_EQ(bits(runOdd(quantised, slots)), bits(expected));
        // One product alone has the same bits on every machine.
        if (text != makeLinear())
          continue;
        if (products.empty())
          products = expected;
        ASSERT_EQ(bits(expected), bits(products));
      }
}

std::string nameOf(const testing::TestParamInfo<Format> &info) {
  return stringifyFormat(info.param).str();
}
INSTANTIATE_TEST_SUITE_P(Formats, Quantised,
                         testing::Values(Format::Int8, Format::Int4,
                                         Format::Int4Min, Format::MXFP4,
                                         Format::Int8Channel, Format::Int4NL),
                         nameOf);

} // namespace
