//===- Generation.h - Prompt in, tokens out ---------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDS_GENERATION_H
#define MOE_RUNTIME_COMMANDS_GENERATION_H

#include "../AtomicFile.h"
#include "Commands.h"

#include <functional>
#include <memory>
#include <set>
#include <span>

namespace moe::runtime {

struct GenerationLimits {
  /// Negative: none.
  int64_t count = -1;
  std::set<int32_t> stops;
};

struct GenerationReport {
  enum End { Stopped, CountReached, ContextFull, Interrupted, Closed };
  End end = CountReached;
  int64_t promptTokens = 0, generated = 0;
  double promptSeconds = 0, decodeSeconds = 0;
};

/// Receives every token, with whether it is a stop token (the last one then);
/// false ends the generation.
using TokenSink = std::function<Result<bool>(int32_t id, bool isStop)>;

/// Feeds the prompt, then samples and feeds token by token.
Result<GenerationReport> generate(Session &session, Sampler &sampler,
                                  std::span<const int32_t> prompt,
                                  const GenerationLimits &limits,
                                  const TokenSink &sink);

/// What --trace-routing asks for. Its file is there before the evaluation
/// begins, which would be lost if the file could not be made.
struct TraceOutput {
  RoutingTrace trace;
  AtomicFile file;

  Result<void> write() { return trace.write(file); }
};

/// Session, trace and sampler as the options want them, with what a user
/// should know said on stderr. Error: a prompt that the session cannot take.
struct GenerationSetup {
  Session session;
  Sampler sampler;
  std::unique_ptr<TraceOutput> trace;
};
Result<GenerationSetup> setUpGeneration(const CommandContext &context,
                                        std::span<const int32_t> prompt);

/// Writes the trace where one was asked for, and speed to stderr.
Result<int> finishGeneration(const CommandContext &context,
                             const GenerationSetup &setup,
                             const GenerationReport &report);

/// A session of `options.session` that records into `trace` where
/// --trace-routing asks for it.
Result<Session> openSession(const CommandContext &context,
                            std::unique_ptr<TraceOutput> &trace);

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDS_GENERATION_H
