//===- Session.h - One sequence being evaluated -----------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SESSION_H
#define MOE_RUNTIME_SESSION_H

#include "moe/Runtime/CompiledABI.h"
#include "moe/Runtime/PayloadReader.h"
#include "moe/Runtime/RoutingTrace.h"
#include "moe/Runtime/StepProfile.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace moe::runtime {

/// The generated code's entry point; tests pass a substitute.
using StepFunction = MoeStepFunction;

/// Zero-filled anonymous memory, page aligned, committed when touched.
class AnonymousMemory {
public:
  AnonymousMemory() = default;
  static Result<AnonymousMemory> allocate(int64_t bytes, const char *what);
  AnonymousMemory(AnonymousMemory &&other) noexcept;
  AnonymousMemory &operator=(AnonymousMemory &&other) noexcept;
  ~AnonymousMemory();
  void *data() const { return address; }
  int64_t size() const { return bytes; }

private:
  void *address = nullptr;
  int64_t bytes = 0;
};

struct SessionOptions {
  /// Positions; 0 stands for min(model's, 4096).
  int64_t context = 0;
  /// Most tokens per call of the step function; 0 stands for the payload's.
  int64_t chunk = 0;
  int64_t threads = 1;
  KVChoice kv = {};
};

/// KV cache, working memory and position of one sequence.
class Session {
public:
  /// Errors: a context over the model's, a chunk over the compiled one, memory.
  /// `payload` must outlive the session.
  static Result<Session> create(const Payload &payload, StepFunction step,
                                const SessionOptions &options);

  /// Receives the logits of `count` consecutive tokens, f32 [count, vocab];
  /// false stops the evaluation.
  using LogitsSink = std::function<bool(std::span<const float>)>;

  /// Evaluates `tokens` chunk by chunk at the current position. Which rows of
  /// logits are computed: none without `lastLogits` and `sink`; the last
  /// token's into `lastLogits` (f32 [vocab]); all, handed to `sink` chunk by
  /// chunk. Errors: tokens beyond the vocabulary, the end of the context;
  /// a profile that the step does not fit.
  Result<void> feed(std::span<const int32_t> tokens, Phase phase,
                    std::vector<float> *lastLogits,
                    const LogitsSink *sink = nullptr);

  /// Whether feed() would take `tokens`; its errors otherwise.
  Result<void> check(std::span<const int32_t> tokens) const;

  /// Starts a new sequence in the same memory.
  void reset();

  /// Called between chunks; true stops `feed` after the current one.
  void interruptWhen(std::function<bool()> asked) { stopAsked = asked; }
  void recordTo(RoutingTrace *target) { trace = target; }
  /// Calls from now on are added to `target`; null: to none.
  void profileTo(StepProfile *target) { profile = target; }

  int64_t position() const { return nextPosition; }
  int64_t context() const { return contextLength; }
  int64_t vocab() const { return payload->model.vocab; }
  int64_t chunk() const { return chunkLength; }

private:
  Session() = default;
  Result<void> call(std::span<const int32_t> tokens, Phase phase,
                    std::span<float> logits, int64_t rows);
  int64_t recordedSlots() const;

  const Payload *payload = nullptr;
  StepFunction step = nullptr;
  AnonymousMemory kv, arena;
  KVChoice kvChoice;
  int64_t contextLength = 0, chunkLength = 0, threads = 1;
  int64_t nextPosition = 0;
  RoutingTrace *trace = nullptr;
  StepProfile *profile = nullptr;
  std::function<bool()> stopAsked;
  std::vector<float> logitsBuffer;
  std::vector<int32_t> routeIds;
  std::vector<float> routeWeights;
};

/// min(model's context, 4096), or `asked` where it is not 0.
Result<int64_t> chooseContext(const ModelInfo &model, int64_t asked);

} // namespace moe::runtime

#endif // MOE_RUNTIME_SESSION_H
