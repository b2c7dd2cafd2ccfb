//===- Comparison.cpp - Calls of compiled code and of the reference -------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Comparison.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace mlir;
using namespace moec;
using namespace moec::reference;
using namespace moec::test;

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
