//===- RoutingTrace.h - Which experts each token chose ----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_ROUTINGTRACE_H
#define MOE_RUNTIME_ROUTINGTRACE_H

#include "moe/Runtime/PayloadReader.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moe::runtime {

class AtomicFile;

enum class Phase : uint8_t { Prefill = 0, Decode = 1 };

/// Collects the routing of every call of the step function and writes it as
/// safetensors: `layer.<l>.ids` i32 [T,k], `layer.<l>.weights` f32 [T,k],
/// `tokens` i32 [T], `phase` u8 [T] (0 prefill, 1 decode).
class RoutingTrace {
public:
  explicit RoutingTrace(std::vector<RoutingRecord> records);

  /// Sum of the records' top_k: routing slots per token.
  int64_t slotsPerToken() const { return slots; }

  /// `ids` and `weights` as the step function leaves them: record after record,
  /// each [tokens][top_k].
  void append(std::span<const int32_t> tokens, Phase phase,
              std::span<const int32_t> ids, std::span<const float> weights);

  /// Writes all that was collected, and commits the file.
  Result<void> write(AtomicFile &file) const;

private:
  struct Layer {
    std::vector<int32_t> ids;
    std::vector<float> weights;
  };
  std::vector<RoutingRecord> records;
  std::vector<Layer> layers;
  std::vector<int32_t> tokens;
  std::vector<uint8_t> phases;
  int64_t slots = 0;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_ROUTINGTRACE_H
