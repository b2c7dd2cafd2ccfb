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

#include "ErrorBound.h"
#include "RandomCase.h"
#include "RandomGraph.h"

#include "moe/Reference/RandomTensor.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace mlir;
using namespace moec;
using namespace moec::reference;
using namespace moec::test;

namespace {

/// Counts over a whole test.
struct Tally {
  int64_t rows = 0, skipped = 0;
};

/// Runs calls in both worlds and compares.
class Comparison {
public:
  Comparison(RandomCase &graph, Tally &tally) : graph(graph), tally(tally) {}

  /// Rows first .. last - 1 in one call.
  void step(int64_t first, int64_t last, int64_t slots);

private:
  void compare(const Tensor &expected, const Tensor &actual,
               const Tensor &error);

  RandomCase &graph;
  Tally &tally;
  Sequence sequence;
  ErrorBound bound;
};

void Comparison::compare(const Tensor &expected, const Tensor &actual,
                         const Tensor &error) {
  if (expected.shape.empty()) { // of all rows
    if (bound.getAmbiguousRows().empty()) {
      ASSERT_TRUE(std::abs(expected[0] - actual[0]) <= error[0])
          << "expected " << expected[0] << ", compiled code gives " << actual[0]
          << ", bound " << error[0];
    }
    return;
  }
  for (int64_t t = 0; t < expected.rows(); ++t) {
    ++tally.rows;
    if (bound.getAmbiguousRows().count(t)) {
      ++tally.skipped;
      continue;
    }
    for (int64_t c = 0; c < expected.columns(); ++c) {
      double off = std::abs(expected.at(t, c) - actual.at(t, c));
      // Not `off > bound`, which a NaN passes.
      ASSERT_TRUE(off <= error.at(t, c))
          << "row " << t << ", column " << c << ": expected "
          << expected.at(t, c) << ", compiled code gives " << actual.at(t, c)
          << ", off by " << off << ", bound " << error.at(t, c);
    }
  }
}

void Comparison::step(int64_t first, int64_t last, int64_t slots) {
  SCOPED_TRACE("rows " + std::to_string(first) + " .. " + std::to_string(last) +
               ", slots " + std::to_string(slots));
  func::FuncOp function = graph.getFunction();
  std::vector<RuntimeValue> arguments =
      graph.getArguments(first, last, sequence);
  bound.begin(function, arguments);
  InterpreterOptions options;
  options.observer = [&](Operation *op, ArrayRef<RuntimeValue> results,
                         StringRef) { bound.observe(op, results); };
  Interpreter interpreter(graph.getModule(), options);
  auto expected = interpreter.run(function.getName(), arguments);
  ASSERT_TRUE(succeeded(expected));
  auto actual = graph.call(first, last, slots, sequence);
  ASSERT_TRUE(bool(actual)) << llvm::toString(actual.takeError());
  auto results = function.getBody().front().getTerminator()->getOperands();
  for (auto [value, e, a] : llvm::zip(results, *expected, *actual))
    compare(*getTensor(e), a, bound.errorOf(value));
}

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

} // namespace
