//===- Comparison.h - Calls of compiled code and of the reference -*- C++ -*-//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PIPELINES_COMPARISON_H
#define MOE_TEST_UNIT_PIPELINES_COMPARISON_H

#include "ErrorBound.h"
#include "RandomCase.h"

namespace moec::test {

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
  void compare(const reference::Tensor &expected,
               const reference::Tensor &actual, const reference::Tensor &error);

  RandomCase &graph;
  Tally &tally;
  Sequence sequence;
  ErrorBound bound;
};

} // namespace moec::test

#endif // MOE_TEST_UNIT_PIPELINES_COMPARISON_H
