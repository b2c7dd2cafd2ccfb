//===- RandomGraph.h - Graphs made from a seed ------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PIPELINES_RANDOMGRAPH_H
#define MOE_TEST_UNIT_PIPELINES_RANDOMGRAPH_H

#include <cstdint>
#include <string>

namespace moec::test {

/// A function @layer with one moe.layer: sizes, router, shared expert,
/// residual and element types by the seed.
std::string makeLayerGraph(uint64_t seed);

/// A function @plan: ids and weights (from a router or given), a dispatch with
/// or without a capacity, two grouped products with or without a row scale, a
/// combine with or without zero-compute experts, and the losses.
std::string makePlanGraph(uint64_t seed);

/// A function @block: norm, projections, rotary embedding, attention over a
/// cache, a gated product and residuals. Arguments: rows, tokens, position.
std::string makeBlockGraph(uint64_t seed);

/// A function @attention over a cache and nothing else, for long contexts.
/// Arguments: q, k, v, the cache, position and sinks, if there are any.
struct AttentionSizes {
  int64_t heads = 4, kvHeads = 2, headDim = 16, window = 0;
  std::string cache = "f32"; // as in !lm.state<2x16xf32>
  std::string queries = "f32";
  bool sinks = false;
};
std::string makeAttentionGraph(const AttentionSizes &sizes);

} // namespace moec::test

#endif // MOE_TEST_UNIT_PIPELINES_RANDOMGRAPH_H
