//===- LogitsCommand.cpp - model logits: ids in, f32 [T,V] out ------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "../NpyFile.h"
#include "Generation.h"
#include "Interrupt.h"
#include "TokenList.h"

namespace moe::runtime {

Result<int> logitsCommand(const CommandContext &context) {
  const CommandOptions &options = context.options;
  int64_t vocab = context.payload().model.vocab;
  Result<std::vector<int32_t>> tokens = parseTokenList(options.tokens, vocab);
  if (!tokens)
    return passOn(tokens);
  if (nameSameFile(options.out, options.traceRouting))
    return fail("--out and --trace-routing: both are ", options.out,
                "; expected two files");
  finishAtSignals();
  std::unique_ptr<TraceOutput> trace;
  Result<Session> session = openSession(context, trace);
  if (!session)
    return passOn(session);
  Result<AtomicFile> file = AtomicFile::create(options.out);
  if (!file)
    return failIn("--out", file);
  std::string header = npyHeader(int64_t(tokens->size()), vocab);
  Result<void> written = file->write(header.data(), header.size());
  if (!written)
    return passOn(written);

  Session::LogitsSink sink = [&](std::span<const float> rows) {
    written = file->write(rows.data(), rows.size_bytes());
    return written.has_value();
  };
  Result<void> fed = session->feed(*tokens, Phase::Prefill, nullptr, &sink);
  if (!fed)
    return passOn(fed);
  if (!written)
    return passOn(written);
  if (session->position() < int64_t(tokens->size()) && interrupted())
    return interruptedStatus();
  if (Result<void> done = file->commit(); !done)
    return passOn(done);
  if (trace)
    if (Result<void> done = trace->write(); !done)
      return passOn(done);
  return 0;
}

} // namespace moe::runtime
