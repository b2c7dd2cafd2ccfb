//===- StreamsTest.cpp - Few rows, computed in streams of weights ---------===//
//
// Part of moe-mlir. A call of few rows walks several parts of a weight at once
// and takes what is left in pairs of panels. Numbers of pairs around that of
// the streams show whether each is computed, once, in its own columns.
//
//===----------------------------------------------------------------------===//

#include "Chunks.h"
#include "GraphText.h"
#include "lib/Kernels/MicroKernel.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace moec;
using namespace moec::test;
using lm::Format;

namespace {

constexpr int64_t kBatch = 40;
// Less than a run of any format (kernels::runOf); more, and no multiple of one.
constexpr int64_t kColumns[] = {72, 296};

/// For each number S of streams that calls of few rows take: 1, S - 1, S, S + 1
/// and 2 S + 1 pairs. Nothing where no call takes streams.
std::set<int64_t> numbersOfPairs(Format format, const Variant &variant) {
  const kernels::Target &target = variant.machine.kernels;
  auto family = kernels::TileFamily::of(format, target);
  std::set<int64_t> numbers;
  for (int64_t rows = 1; rows <= family.maxRows(target); ++rows)
    if (int64_t streams = kernels::streamsOf(target, family, rows); streams > 1)
      numbers.insert({1, streams - 1, streams, streams + 1, 2 * streams + 1});
  return numbers;
}

/// Products of one operand: for each number of pairs a plain one, whose last
/// panel is not full, and a gated one.
std::string makeProducts(const std::set<int64_t> &numbers, int64_t inner,
                         StringRef element, StringRef rowElement) {
  FunctionText text;
  std::string rows = rowsType(inner, rowElement.str());
  std::string x = text.argument(rows);
  std::vector<TypedName> results;
  auto product = [&](StringRef op, StringRef attribute, int64_t weightColumns,
                     int64_t columns) {
    std::string type = matrixType(weightColumns, inner, element.str());
    std::string result = rowsType(columns, "f32"), w = text.argument(type);
    std::string name =
        text.op(llvm::formatv("lm.{0} {1}, {2}{3} : ({4}, {5}) -> {6}", op, x,
                              w, attribute, rows, type, result));
    results.push_back({name, result});
  };
  for (int64_t pairs : numbers) {
    product("linear", "", 32 * pairs - 5, 32 * pairs - 5);
    product("gated_linear", " <silu>", 32 * pairs, 16 * pairs);
  }
  return text.finish("products", results);
}

/// Expects the rows of short calls to be those of one long call, which takes no
/// streams.
void expectSameBitsInStreams(RandomCase &graph) {
  Sequence none;
  auto whole = graph.call(0, kBatch, 1, none);
  ASSERT_TRUE(bool(whole)) << llvm::toString(whole.takeError());
  for (int64_t rows = 1; rows <= 7; ++rows)
    for (int64_t slots : {1, 2}) {
      int64_t first = 3 * rows;
      auto part = graph.call(first, first + rows, slots, none);
      ASSERT_TRUE(bool(part)) << llvm::toString(part.takeError());
      for (size_t i = 0; i < part->size(); ++i) {
        ArrayRef<double> all = (*whole)[i].data;
        size_t columns = all.size() / kBatch;
        ASSERT_EQ(bits((*part)[i].data),
                  bits(all.slice(first * columns, rows * columns)))
            << rows << " rows, slots " << slots << ", product " << i;
      }
    }
}

/// What runs here; AVX-512 also as on Zen, which fetches nothing itself and so
/// reads some formats in runs.
std::vector<Variant> variantsWithRuns() {
  std::vector<Variant> variants = getVariants();
  for (Variant variant : getVariants())
    if (kernels::Target &target = variant.machine.kernels;
        target.lanes == 16 && target.prefetchLines) {
      target.prefetchLines = 0;
      target.streamPanels = 2;
      variants.push_back(variant);
    }
  return variants;
}

/// Compares products of this many columns where calls of few rows take streams;
/// `isTaken`: whether they do.
void compareProducts(Format format, int64_t columns, const Variant &variant,
                     bool &isTaken) {
  std::set<int64_t> numbers = numbersOfPairs(format, variant);
  if (numbers.empty())
    return;
  isTaken = true;
  bool isQuantised = lm::isQuantised(format);
  std::string element = isQuantised ? "f32" : lm::stringifyFormat(format).str();
  RandomCase graph(makeProducts(numbers, columns, element,
                                element == "bf16" ? "bf16" : "f32"),
                   3, variant);
  SCOPED_TRACE(graph.describe());
  llvm::Error error =
      graph.prepare(isQuantised ? std::optional(format) : std::nullopt);
  ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
  expectSameBitsInStreams(graph);
}

class Streams : public testing::TestWithParam<Format> {};

TEST_P(Streams, ComputeEveryPairOnce) {
  bool isTaken = false;
  for (Variant variant : variantsWithRuns())
    for (int64_t columns : kColumns)
      for (bool floatRows : {false, true}) {
        if (floatRows && !lm::isQuantised(GetParam()))
          continue;
        variant.machine.kernels.floatActivations = floatRows;
        compareProducts(GetParam(), columns, variant, isTaken);
      }
  if (!isTaken)
    GTEST_SKIP() << "no machine that runs here takes streams";
}

std::string nameOf(const testing::TestParamInfo<Format> &info) {
  return stringifyFormat(info.param).str();
}
INSTANTIATE_TEST_SUITE_P(Formats, Streams,
                         testing::Values(Format::F32, Format::BF16, Format::F16,
                                         Format::Int8, Format::Int4,
                                         Format::Int4Min, Format::MXFP4,
                                         Format::Int4NL, Format::Int8Channel),
                         nameOf);

} // namespace
