//===- StepParts.h - The kernels of a step, and what they cost --*- C++ -*-===//
//
// Part of moe-mlir. The compiler writes this list into a payload's header and
// makes its remarks from it; the runtime profiles by it (docs/profiling.md).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_STEPPARTS_H
#define MOE_RUNTIME_STEPPARTS_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace moe::runtime {

/// One kernel: a loop that all threads share, and the barrier behind it. That
/// there is one is checked where a profile hears it (StepProfile::end).
struct StepPart {
  /// Without its dialect: "linear".
  std::string op;
  /// The weight that it reads, "attn.q"; without one the op again.
  std::string name;
  /// How its products are computed; empty where it has none.
  std::string recipe;
  /// Its rows are those whose logits are asked for, not all tokens.
  bool lastRows = false;
  /// Bytes of weights: of all, of a row's own, of each expert that is chosen.
  int64_t bytes = 0, rowBytes = 0, expertBytes = 0;
  /// FLOPs of products: of a row, and of a row and a position that it sees.
  int64_t rowFlops = 0, positionFlops = 0;
  /// Positions that a row sees at most, its own included; 0: all before it.
  int64_t window = 0;
  /// Of one layer's keys (or values), by the step's types; empty if not read.
  std::vector<int64_t> cacheBytes;

  bool operator==(const StepPart &) const = default;
};

/// A step is a list of bodies; layers that are alike share one.
struct StepParts {
  struct Run {
    size_t body = 0;
    /// Negative: outside of the layers.
    int64_t layer = -1;
  };
  std::vector<std::vector<StepPart>> bodies;
  std::vector<Run> order;
};

/// One call of the step function, as far as costs depend on it.
struct CallShape {
  int64_t tokens = 1, position = 0, rows = 1;
  size_t keyType = 0, valueType = 0;
};

struct PartWork {
  double bytes = 0, flops = 0;
};

/// `experts`: how many different ones the call's tokens chose in this layer.
PartWork workOf(const StepPart &part, const CallShape &call, double experts);

/// Experts that `tokens` tokens choose, each `topK` of `experts`, if all are
/// equally likely: E * (1 - (1 - k / E)^T).
double expectedExperts(int64_t tokens, int64_t topK, int64_t experts);

} // namespace moe::runtime

#endif // MOE_RUNTIME_STEPPARTS_H
