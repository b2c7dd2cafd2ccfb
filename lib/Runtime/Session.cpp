//===- Session.cpp - One sequence being evaluated -------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/Session.h"

#include "moe/Runtime/Payload.h"

#include <algorithm>
#include <cstring>

namespace moe::runtime {

static int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

template <typename T>
static MoeMemRef1 describe(const T *data, int64_t count) {
  // The descriptor has no const; the step function writes only its outputs.
  void *address = const_cast<void *>(static_cast<const void *>(data));
  return {address, address, /*offset=*/0, count, /*stride=*/1};
}

Result<int64_t> chooseContext(const ModelInfo &model, int64_t asked) {
  if (asked == 0)
    return std::min<int64_t>(model.maxContext, 4096);
  if (asked < 0 || asked > model.maxContext)
    return fail("a context of ", asked, " tokens was asked for; this model's ",
                "goes from 1 to ", model.maxContext);
  return asked;
}

Result<Session> Session::create(const Payload &payload, StepFunction step,
                                const SessionOptions &options) {
  Result<int64_t> context = chooseContext(payload.model, options.context);
  if (!context)
    return passOn(context);
  int64_t maxChunk = payload.step().chunk;
  if (options.chunk < 0 || options.chunk > maxChunk)
    return fail("--chunk ", options.chunk,
                ": this executable was compiled for 1 to ", maxChunk,
                " tokens a call");

  Session session;
  session.payload = &payload;
  session.step = step;
  session.threads = options.threads;
  session.contextLength = *context;
  session.chunkLength =
      std::min(options.chunk ? options.chunk : maxChunk, *context);

  Result<int64_t> kvSize = kvBytes(payload.step(), options.kv, *context);
  Result<int64_t> arenaSize =
      arenaBytes(payload.step(), session.chunkLength, options.threads);
  if (!kvSize)
    return passOn(kvSize);
  if (!arenaSize)
    return passOn(arenaSize);
  Result<AnonymousMemory> kv = AnonymousMemory::allocate(*kvSize, "KV cache");
  if (!kv)
    return passOn(kv);
  Result<AnonymousMemory> arena =
      AnonymousMemory::allocate(*arenaSize, "working memory");
  if (!arena)
    return passOn(arena);
  session.kv = std::move(*kv);
  session.kvChoice = options.kv;
  session.arena = std::move(*arena);
  return session;
}

void Session::reset() {
  // Unused positions must read as zero (docs/executable-format.md). memset
  // rather than madvise: a benchmark should not measure page faults again.
  if (kv.data())
    std::memset(kv.data(), 0, size_t(kv.size()));
  nextPosition = 0;
}

Result<void> Session::check(std::span<const int32_t> tokens) const {
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= vocab())
      return fail("token ", i, " of the input is ", tokens[i],
                  "; this model's ids go from 0 to ", vocab() - 1);
  int64_t needed = nextPosition + int64_t(tokens.size());
  if (needed > contextLength)
    return fail("the input needs ", needed, " positions, the context has ",
                contextLength, " (this model's limit is ",
                payload->model.maxContext, "; -c sets it)");
  return {};
}

/// Choices of experts that somebody wants to see, of each token.
int64_t Session::recordedSlots() const {
  return trace     ? trace->slotsPerToken()
         : profile ? profile->slotsPerToken()
                   : 0;
}

Result<void> Session::call(std::span<const int32_t> tokens, Phase phase,
                           std::span<float> logits, int64_t rows) {
  size_t slots = tokens.size() * size_t(recordedSlots());
  routeIds.resize(slots);
  routeWeights.resize(slots);
  Bytes weightBytes = payload->sections.find(kWeightsSection)->second.bytes;

  const MoeMemRef1 weights = describe(weightBytes.data(), weightBytes.size());
  const MoeMemRef1 cache = describe(kv.data(), kv.size());
  const MoeMemRef1 scratch = describe(arena.data(), arena.size());
  const MoeMemRef1 input = describe(tokens.data(), tokens.size());
  const MoeMemRef1 output = describe(logits.data(), logits.size());
  const MoeMemRef1 ids = describe(routeIds.data(), slots);
  const MoeMemRef1 gates = describe(routeWeights.data(), slots);
  if (profile)
    profile->begin();
  step(&weights, &cache, &scratch, &input, &output, &ids, &gates, nextPosition,
       roundUp(contextLength, payload->step().kvBlock),
       roundUp(chunkLength, 16), rows, int64_t(kvChoice.keys),
       int64_t(kvChoice.values), threads);
  CallShape shape{int64_t(tokens.size()), nextPosition, rows, kvChoice.keys,
                  kvChoice.values};
  nextPosition += int64_t(tokens.size());
  if (trace)
    trace->append(tokens, phase, routeIds, routeWeights);
  return profile ? profile->end(shape, routeIds) : Result<void>();
}

Result<void> Session::feed(std::span<const int32_t> tokens, Phase phase,
                           std::vector<float> *lastLogits,
                           const LogitsSink *sink) {
  if (Result<void> valid = check(tokens); !valid)
    return valid;
  while (!tokens.empty()) {
    if (stopAsked && stopAsked())
      return {};
    size_t count = std::min(tokens.size(), size_t(chunkLength));
    bool last = count == tokens.size();
    size_t rows = sink ? count : lastLogits && last ? 1 : 0;
    logitsBuffer.resize(rows * size_t(vocab()));
    if (Result<void> done =
            call(tokens.first(count), phase, logitsBuffer, int64_t(rows));
        !done)
      return done;
    tokens = tokens.subspan(count);
    if (sink && !(*sink)(logitsBuffer))
      return {};
    if (lastLogits && last)
      lastLogits->assign(logitsBuffer.end() - vocab(), logitsBuffer.end());
  }
  return {};
}

} // namespace moe::runtime
