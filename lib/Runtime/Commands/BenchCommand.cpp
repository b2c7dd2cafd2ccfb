//===- BenchCommand.cpp - model bench: prompt and decode speed ------------===//
//
// Part of moe-mlir. Tests, columns and JSON fields are those of llama-bench.
//
//===----------------------------------------------------------------------===//

#include "../Ceilings.h"
#include "../WeightsPopulation.h"
#include "Commands.h"
#include "Interrupt.h"
#include "Output.h"
#include "ProfileReport.h"
#include "moe/Runtime/Payload.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <random>

namespace moe::runtime {

namespace {
/// Either `prompt` or `generate` is 0.
struct BenchTest {
  int64_t prompt, generate, threads;
  int64_t tokens() const { return prompt + generate; }
  std::string name() const {
    return prompt ? "pp" + std::to_string(prompt)
                  : "tg" + std::to_string(generate);
  }
};

struct BenchResult {
  BenchTest test;
  /// Tokens per second.
  std::vector<double> samples;
  /// Of runs after those, if asked for.
  std::unique_ptr<StepProfile> profile;
  double mean() const {
    double sum = 0;
    for (double sample : samples)
      sum += sample;
    return sum / double(samples.size());
  }
  double deviation() const {
    if (samples.size() < 2)
      return 0;
    double sum = 0;
    for (double sample : samples)
      sum += (sample - mean()) * (sample - mean());
    return std::sqrt(sum / double(samples.size() - 1));
  }
};
} // namespace

static std::vector<BenchTest> listTests(const CommandOptions &options) {
  std::vector<int64_t> threads = options.benchThreads;
  if (threads.empty())
    threads.push_back(options.session.threads);
  std::vector<BenchTest> tests;
  for (int64_t count : threads) {
    for (int64_t prompt : options.benchPrompt)
      if (prompt > 0)
        tests.push_back({prompt, 0, count});
    for (int64_t generate : options.benchGenerate)
      if (generate > 0)
        tests.push_back({0, generate, count});
  }
  return tests;
}

/// Runs the test once, from an empty context.
static Result<void> runOnce(Session &session, const BenchTest &test,
                            std::span<const int32_t> tokens) {
  std::vector<float> logits;
  if (test.prompt)
    return session.feed(tokens, Phase::Prefill, &logits);
  for (const int32_t &token : tokens) {
    Result<void> fed = session.feed({&token, 1}, Phase::Decode, &logits);
    if (!fed || interrupted())
      return fed;
  }
  return {};
}

static Result<Session> openSession(const CommandContext &context,
                                   const BenchTest &test) {
  SessionOptions options = context.options.session;
  options.threads = test.threads;
  options.context = test.tokens();
  return Session::create(context.payload(), context.step, options);
}

static std::vector<int32_t> randomTokens(int64_t count, int64_t vocab) {
  std::mt19937 random(0);
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t &token : tokens)
    token = int32_t(random() % uint64_t(vocab));
  return tokens;
}

/// What a profile's floors are made of: as given, or measured by the threads
/// of the test.
static Ceilings findCeilings(const CommandContext &context, int64_t threads) {
  const CommandOptions &options = context.options;
  const Payload &payload = context.payload();
  Ceilings ceilings;
  ceilings.readRate =
      options.bandwidth
          ? *options.bandwidth * 1e9
          : measureReadRate(
                payload.sections.find(kWeightsSection)->second.bytes, threads);
  for (const auto &body : payload.versions[payload.chosen].parts.bodies)
    for (const StepPart &part : body)
      if (!part.recipe.empty() && !ceilings.peaks.contains(part.recipe))
        ceilings.peaks[part.recipe] =
            options.peak
                ? *options.peak * 1e9
                : measurePeak(findPeakLoop(part.recipe, payload.target(),
                                           payload.model.quantisation),
                              threads);
  return ceilings;
}

/// As many runs as were measured, watched: watching would cost those. The
/// median by time, since means of parts would show every interruption.
static Result<std::unique_ptr<StepProfile>>
profileRuns(const CommandContext &context, const BenchTest &test,
            const Ceilings &ceilings, Session &session,
            std::span<const int32_t> tokens) {
  const Payload &payload = context.payload();
  std::vector<std::unique_ptr<StepProfile>> runs;
  for (int64_t run = 0; run < context.options.repetitions; ++run) {
    runs.push_back(std::make_unique<StepProfile>(
        payload.model, payload.versions[payload.chosen], ceilings));
    session.profileTo(runs.back().get());
    session.reset();
    if (Result<void> done = runOnce(session, test, tokens); !done)
      return passOn(done);
    if (interrupted())
      break;
  }
  session.profileTo(nullptr);
  auto middle = runs.begin() + ptrdiff_t(runs.size() - 1) / 2;
  std::ranges::nth_element(runs, middle, {}, &StepProfile::seconds);
  return std::move(*middle);
}

/// `ceilings`: of a profile; null: there is none.
static Result<BenchResult> measure(const CommandContext &context,
                                   const BenchTest &test,
                                   const Ceilings *ceilings) {
  Result<Session> session = openSession(context, test);
  if (!session)
    return passOn(session);
  session->interruptWhen(interrupted);
  std::vector<int32_t> tokens = randomTokens(test.tokens(), session->vocab());
  BenchResult result{test, {}, nullptr};
  // Run 0 warms up: it touches weights, cache and threads.
  for (int64_t run = 0; run <= context.options.repetitions; ++run) {
    session->reset();
    auto start = std::chrono::steady_clock::now();
    Result<void> done = runOnce(*session, test, tokens);
    std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start;
    if (!done)
      return passOn(done);
    if (interrupted())
      return result;
    if (run > 0)
      result.samples.push_back(double(test.tokens()) / seconds.count());
  }
  if (!ceilings)
    return result;
  Result<std::unique_ptr<StepProfile>> profile =
      profileRuns(context, test, *ceilings, *session, tokens);
  if (!profile)
    return passOn(profile);
  result.profile = std::move(*profile);
  return result;
}

static std::string modelName(const ModelInfo &model) {
  return model.name + " " +
         (model.quantisation == "none" ? model.weightType : model.quantisation);
}

/// Columns of the cache's types, as llama-bench's: where they are chosen.
static std::string typeColumns(const CommandContext &context,
                               const std::string &keys,
                               const std::string &values) {
  KVChoice choice = context.options.session.kv;
  bool isDefault = choice.keys == 0 && choice.values == 0;
  return isDefault ? "" : keys + " | " + values + " | ";
}

static std::string markdownHead(const CommandContext &context) {
  return "| model | size | params | threads | " +
         typeColumns(context, "type_k", "type_v") + "test | t/s |\n" +
         "| --- | ---: | ---: | ---: | " + typeColumns(context, "---", "---") +
         "---: | ---: |\n";
}

static std::string markdownRow(const CommandContext &context,
                               const BenchResult &result) {
  const Payload &payload = context.payload();
  const std::vector<KVType> &types = payload.step().kvTypes;
  KVChoice choice = context.options.session.kv;
  int64_t weights =
      int64_t(payload.sections.find(kWeightsSection)->second.bytes.size());
  return "| " + modelName(payload.model) + " | " + sizeText(weights) + " | " +
         countText(payload.model.parametersTotal) + " | " +
         std::to_string(result.test.threads) + " | " +
         typeColumns(context, types[choice.keys].name,
                     types[choice.values].name) +
         result.test.name() + " | " + fixed(result.mean(), 2) + " ± " +
         fixed(result.deviation(), 2) + " |\n";
}

static ProfiledTest profiledTest(const CommandContext &context,
                                 const BenchTest &test) {
  bool isPrompt = test.prompt > 0;
  return {test.name(), isPrompt, test.threads, isPrompt ? 1 : test.generate,
          context.options.repetitions};
}

static nlohmann::ordered_json jsonEntry(const CommandContext &context,
                                        const BenchResult &result) {
  const Payload &payload = context.payload();
  const std::vector<KVType> &types = payload.step().kvTypes;
  KVChoice choice = context.options.session.kv;
  nlohmann::ordered_json entry;
  entry["model_type"] = modelName(payload.model);
  entry["model_size"] =
      payload.sections.find(kWeightsSection)->second.bytes.size();
  entry["model_n_params"] = payload.model.parametersTotal;
  entry["cpu_target"] = payload.target().cpu;
  entry["recipe"] = payload.target().recipe;
  entry["attention_type"] = payload.target().attentionType;
  entry["type_k"] = types[choice.keys].name;
  entry["type_v"] = types[choice.values].name;
  entry["n_threads"] = result.test.threads;
  entry["n_prompt"] = result.test.prompt;
  entry["n_gen"] = result.test.generate;
  entry["avg_ts"] = result.mean();
  entry["stddev_ts"] = result.deviation();
  entry["samples_ts"] = result.samples;
  if (result.profile)
    entry["profile"] =
        profileJson(profiledTest(context, result.test), *result.profile);
  return entry;
}

Result<int> benchCommand(const CommandContext &context) {
  bool markdown = context.options.format == "md";
  std::vector<BenchTest> tests = listTests(context.options);
  if (tests.empty())
    return fail("nothing to measure: -p and -n are both 0");
  // What any of them would fail for comes before output. Memory that a
  // session does not touch costs nothing.
  for (const BenchTest &test : tests)
    if (Result<Session> session = openSession(context, test); !session)
      return passOn(session);
  auto entries = nlohmann::ordered_json::array();
  std::string profiles;
  // By threads: what tests are compared with is the same for all of them.
  std::map<int64_t, Ceilings> ceilings;
  if (markdown)
    if (Result<bool> open = writeOut(markdownHead(context)); !open || !*open)
      return open ? Result<int>(0) : passOn(open);
  context.population->wait();
  for (const BenchTest &test : tests) {
    if (context.options.profile && !ceilings.contains(test.threads))
      ceilings[test.threads] = findCeilings(context, test.threads);
    Result<BenchResult> result =
        measure(context, test,
                context.options.profile ? &ceilings[test.threads] : nullptr);
    if (!result)
      return passOn(result);
    if (interrupted())
      return interruptedStatus();
    if (!markdown) {
      entries.push_back(jsonEntry(context, *result));
      continue;
    }
    Result<bool> open = writeOut(markdownRow(context, *result));
    if (!open || !*open)
      return open ? Result<int>(0) : passOn(open);
    if (result->profile)
      profiles +=
          profileMarkdown(profiledTest(context, test), *result->profile);
  }
  // Behind the rows of all tests, which are one table.
  std::string last =
      markdown
          ? profiles
          : entries.dump(2, ' ', false,
                         nlohmann::ordered_json::error_handler_t::replace) +
                "\n";
  Result<bool> open = writeOut(last);
  return open ? Result<int>(0) : passOn(open);
}

} // namespace moe::runtime
