//===- Chunks.h - A sequence computed in several calls ----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PIPELINES_CHUNKS_H
#define MOE_TEST_UNIT_PIPELINES_CHUNKS_H

#include "RandomCase.h"

namespace moec::test {

/// So that -0 and +0 differ, and a NaN equals itself.
inline uint64_t bits(double value) { return llvm::bit_cast<uint64_t>(value); }
std::vector<uint64_t> bits(llvm::ArrayRef<double> values);

/// The first result for all rows, computed in chunks of these sizes in turn.
std::vector<double> runInChunks(RandomCase &graph, int64_t rows,
                                const std::vector<int64_t> &chunks,
                                int64_t slots);

/// Expects the same bits from a prepared graph for several cuts and numbers of
/// slots.
void expectSameBitsInChunks(RandomCase &graph, int64_t rows);

} // namespace moec::test

#endif // MOE_TEST_UNIT_PIPELINES_CHUNKS_H
