//===- Commands.h - Options and entry of each command -----------*- C++ -*-===//
//
// Part of moe-mlir. CommandLine.cpp fills the options; one file a command
// implements it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDS_COMMANDS_H
#define MOE_RUNTIME_COMMANDS_COMMANDS_H

#include "moe/Runtime/PayloadFile.h"
#include "moe/Runtime/Sampler.h"
#include "moe/Runtime/Session.h"

#include <optional>
#include <string>
#include <vector>

namespace moe::runtime {

class WeightsPopulation;

struct CommandOptions {
  // All commands.
  std::string weights;
  bool verify = false;
  /// Name of the code version; empty: the best.
  std::string isa;

  // Commands that evaluate the model.
  SessionOptions session{.context = 0, .chunk = 0, .threads = 0};
  std::string traceRouting;
  bool noPerf = false;
  /// Empty: the default.
  std::string cacheTypeK, cacheTypeV;

  // run, tokenize
  std::optional<std::string> prompt, promptFile;
  bool noSpecial = false;

  // run, generate
  /// Tokens to generate; negative: until EOS or the end of the context.
  int64_t count = -1;
  bool ignoreEos = false;
  bool greedy = false;
  SamplerOptions sampler;
  /// Negative: random.
  int64_t seed = -1;

  // logits, generate
  std::string tokens, out;

  // bench
  std::vector<int64_t> benchPrompt{512}, benchGenerate{64}, benchThreads;
  int64_t repetitions = 5;
  std::string format = "md";
  bool profile = false;
  /// Ceilings in GFLOP/s and GB/s, instead of measured ones.
  std::optional<double> peak, bandwidth;

  // info
  bool json = false;
};

/// What every command works on.
struct CommandContext {
  const CommandOptions &options;
  const PayloadFile &model;
  /// Null for commands that do not evaluate the model, as `population`.
  StepFunction step;
  WeightsPopulation *population = nullptr;

  const Payload &payload() const { return model.payload; }
};

/// Each returns the exit status.
Result<int> runCommand(const CommandContext &context);
Result<int> logitsCommand(const CommandContext &context);
Result<int> generateCommand(const CommandContext &context);
Result<int> tokenizeCommand(const CommandContext &context);
Result<int> benchCommand(const CommandContext &context);
Result<int> infoCommand(const CommandContext &context);

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDS_COMMANDS_H
