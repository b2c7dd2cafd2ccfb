//===- RunCommand.cpp - model run: text in, text out ----------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Generation.h"
#include "Output.h"
#include "Prompt.h"
#include "moe/Runtime/ModelTokenizer.h"

namespace moe::runtime {

/// The prompt's token ids, known to fit into the session's context.
static Result<std::vector<int32_t>> encodePrompt(const CommandContext &context,
                                                 const Tokenizer &tokenizer,
                                                 int64_t positions) {
  Result<std::string> text = readPrompt(context.options);
  if (!text)
    return passOn(text);
  // Editors and echo end a text with a newline that nobody means; llama.cpp
  // drops it as well.
  bool typed = context.options.prompt && *context.options.prompt != "-";
  if (!typed && text->ends_with('\n'))
    text->pop_back();
  Result<std::vector<int32_t>> ids =
      tokenizer.encode(*text, !context.options.noSpecial);
  if (!ids)
    return ids;
  if (ids->empty())
    return fail("the prompt is empty");
  if (int64_t(ids->size()) > positions)
    return fail("the prompt has ", ids->size(), " tokens, the context ",
                positions, " (this model's limit is ",
                context.payload().model.maxContext, "; -c sets it)");
  return ids;
}

Result<int> runCommand(const CommandContext &context) {
  Result<std::unique_ptr<Tokenizer>> tokenizer =
      openTokenizer(context.payload());
  if (!tokenizer)
    return passOn(tokenizer);
  Result<int64_t> positions = chooseContext(context.payload().model,
                                            context.options.session.context);
  if (!positions)
    return passOn(positions);
  Result<std::vector<int32_t>> prompt =
      encodePrompt(context, **tokenizer, *positions);
  if (!prompt)
    return passOn(prompt);
  GenerationLimits limits{.count = context.options.count, .stops = {}};
  if (!context.options.ignoreEos) {
    Result<std::set<int32_t>> stops =
        stopTokens(context.payload(), tokenizer->get());
    if (!stops)
      return passOn(stops);
    limits.stops = std::move(*stops);
  }
  Result<GenerationSetup> setup = setUpGeneration(context, *prompt);
  if (!setup)
    return passOn(setup);

  StreamDecoder decoder(**tokenizer, /*continuation=*/true);
  Result<GenerationReport> report =
      generate(setup->session, setup->sampler, *prompt, limits,
               [&](int32_t id, bool isStop) -> Result<bool> {
                 return isStop ? true : writeOut(decoder.append(id));
               });
  if (!report)
    return passOn(report);
  if (report->end != GenerationReport::Closed)
    if (Result<bool> done = writeOut(decoder.finish() + "\n"); !done)
      return passOn(done);
  return finishGeneration(context, *setup, *report);
}

} // namespace moe::runtime
