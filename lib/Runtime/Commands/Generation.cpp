//===- Generation.cpp - Prompt in, tokens out -----------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Generation.h"

#include "Interrupt.h"
#include "Output.h"

#include <chrono>
#include <iostream>

namespace moe::runtime {

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Result<GenerationReport> generate(Session &session, Sampler &sampler,
                                  std::span<const int32_t> prompt,
                                  const GenerationLimits &limits,
                                  const TokenSink &sink) {
  using Report = GenerationReport;
  Report report;
  report.promptTokens = int64_t(prompt.size());
  std::vector<float> logits;
  Clock::time_point start = Clock::now();
  Result<void> fed = session.feed(prompt, Phase::Prefill, &logits);
  if (!fed)
    return passOn(fed);
  report.promptSeconds = secondsSince(start);

  start = Clock::now();
  auto ended = [&](Report::End end) {
    report.end = end;
    report.decodeSeconds = secondsSince(start);
    return report;
  };
  while (true) {
    if (interrupted())
      return ended(Report::Interrupted);
    if (limits.count >= 0 && report.generated >= limits.count)
      return ended(Report::CountReached);
    Result<int32_t> id = sampler.sample(logits);
    if (!id)
      return passOn(id);
    bool isStop = limits.stops.contains(*id);
    Result<bool> open = sink(*id, isStop);
    if (!open)
      return passOn(open);
    ++report.generated;
    if (!*open)
      return ended(Report::Closed);
    if (isStop)
      return ended(Report::Stopped);
    if (limits.count >= 0 && report.generated >= limits.count)
      return ended(Report::CountReached);
    if (session.position() == session.context())
      return ended(Report::ContextFull);
    int32_t next[] = {*id};
    fed = session.feed(next, Phase::Decode, &logits);
    if (!fed)
      return passOn(fed);
  }
}

Result<Session> openSession(const CommandContext &context,
                            std::unique_ptr<TraceOutput> &trace) {
  const CommandOptions &options = context.options;
  Result<Session> session =
      Session::create(context.payload(), context.step, options.session);
  if (!session)
    return session;
  session->interruptWhen(interrupted);
  if (!options.traceRouting.empty()) {
    if (context.payload().step().records.empty())
      return fail("--trace-routing: this executable records no routing");
    finishAtSignals();
    Result<AtomicFile> file = AtomicFile::create(options.traceRouting);
    if (!file)
      return failIn("--trace-routing", file);
    trace = std::make_unique<TraceOutput>(
        RoutingTrace(context.payload().step().records), std::move(*file));
    session->recordTo(&trace->trace);
  }
  return session;
}

Result<GenerationSetup> setUpGeneration(const CommandContext &context,
                                        std::span<const int32_t> prompt) {
  const CommandOptions &options = context.options;
  SamplerOptions sampler = options.sampler;
  if (options.greedy)
    sampler.temperature = 0;
  sampler.seed =
      options.seed < 0 ? std::random_device()() : uint32_t(options.seed);
  std::unique_ptr<TraceOutput> trace;
  Result<Session> session = openSession(context, trace);
  if (!session)
    return passOn(session);
  if (Result<void> fits = session->check(prompt); !fits)
    return passOn(fits);
  if (!options.noPerf) {
    std::cerr << "context " << session->context();
    if (options.session.context == 0)
      std::cerr << " (the model's limit is "
                << context.payload().model.maxContext << "; -c sets it)";
    std::cerr << ", threads " << options.session.threads;
    if (sampler.temperature > 0)
      std::cerr << ", seed " << sampler.seed;
    std::cerr << std::endl;
  }
  return GenerationSetup{std::move(*session), Sampler(sampler),
                         std::move(trace)};
}

static std::string speed(const char *name, int64_t tokens, double seconds) {
  std::string text = std::string(name) + ": " + std::to_string(tokens) +
                     (tokens == 1 ? " token" : " tokens");
  if (tokens > 0 && seconds > 0)
    text += " in " + fixed(seconds, 2) + " s, " +
            fixed(double(tokens) / seconds, 2) + " t/s";
  return text;
}

Result<int> finishGeneration(const CommandContext &context,
                             const GenerationSetup &setup,
                             const GenerationReport &report) {
  if (setup.trace) {
    Result<void> written = setup.trace->write();
    if (!written)
      return passOn(written);
  }
  if (report.end == GenerationReport::Closed)
    return 0;
  if (!context.options.noPerf) {
    if (report.end == GenerationReport::ContextFull)
      std::cerr << "the context of " << setup.session.context()
                << " tokens is full\n";
    // The first generated token comes from the prompt's logits.
    std::cerr << speed("pp", report.promptTokens, report.promptSeconds) << "; "
              << speed("tg", report.generated, report.decodeSeconds)
              << std::endl;
  }
  return report.end == GenerationReport::Interrupted ? interruptedStatus() : 0;
}

} // namespace moe::runtime
