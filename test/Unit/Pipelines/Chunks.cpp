//===- Chunks.cpp - A sequence computed in several calls ------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Chunks.h"

#include <gtest/gtest.h>

using namespace moec;
using namespace moec::reference;

std::vector<uint64_t> test::bits(llvm::ArrayRef<double> values) {
  std::vector<uint64_t> result;
  for (double value : values)
    result.push_back(bits(value));
  return result;
}

std::vector<double> test::runInChunks(RandomCase &graph, int64_t rows,
                                      const std::vector<int64_t> &chunks,
                                      int64_t slots) {
  Sequence sequence;
  std::vector<double> result;
  int64_t position = 0;
  for (size_t i = 0; position < rows; ++i) {
    int64_t next = std::min(rows, position + chunks[i % chunks.size()]);
    auto results = graph.call(position, next, slots, sequence);
    if (!results) {
      ADD_FAILURE() << llvm::toString(results.takeError());
      return {};
    }
    llvm::append_range(result, (*results)[0].data);
    position = next;
  }
  return result;
}

void test::expectSameBitsInChunks(RandomCase &graph, int64_t rows) {
  std::vector<double> whole = runInChunks(graph, rows, {rows}, 1);
  struct Cut {
    std::vector<int64_t> chunks;
    int64_t slots;
  };
  for (const Cut &cut : {Cut{{rows}, 3}, Cut{{1}, 1}, Cut{{1}, 2},
                         Cut{{5, 17, 2, 13}, 3}, Cut{{64}, 7}}) {
    std::vector<double> parts = runInChunks(graph, rows, cut.chunks, cut.slots);
    ASSERT_EQ(parts.size(), whole.size());
    int64_t columns = whole.size() / rows;
    for (size_t i = 0; i < whole.size(); ++i)
      ASSERT_EQ(bits(parts[i]), bits(whole[i]))
          << "row " << i / columns << ", column " << i % columns
          << ", chunks of " << cut.chunks[0] << ", slots " << cut.slots;
  }
}
