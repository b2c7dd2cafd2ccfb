//===- GenerateCommand.cpp - model generate: ids in, ids out --------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Generation.h"
#include "Output.h"
#include "TokenList.h"
#include "moe/Runtime/ModelTokenizer.h"

namespace moe::runtime {

Result<int> generateCommand(const CommandContext &context) {
  const CommandOptions &options = context.options;
  Result<std::vector<int32_t>> prompt =
      parseTokenList(options.tokens, context.payload().model.vocab);
  if (!prompt)
    return passOn(prompt);
  GenerationLimits limits{.count = options.count, .stops = {}};
  if (!options.ignoreEos) {
    Result<std::set<int32_t>> stops =
        stopTokens(context.payload(), /*tokenizer=*/nullptr);
    if (!stops)
      return passOn(stops);
    limits.stops = std::move(*stops);
  }
  Result<GenerationSetup> setup = setUpGeneration(context, *prompt);
  if (!setup)
    return passOn(setup);

  bool first = true;
  Result<GenerationReport> report =
      generate(setup->session, setup->sampler, *prompt, limits,
               [&](int32_t id, bool) -> Result<bool> {
                 std::string text = (first ? "" : " ") + std::to_string(id);
                 first = false;
                 return writeOut(text);
               });
  if (!report)
    return passOn(report);
  if (report->end != GenerationReport::Closed)
    if (Result<bool> done = writeOut("\n"); !done)
      return passOn(done);
  return finishGeneration(context, *setup, *report);
}

} // namespace moe::runtime
