//===- ToyModel.cpp - A step function that computes hashes ----------------===//
//
// Part of moe-mlir. Stands in for generated code: the logits of a token depend
// on all tokens up to it, through a running hash that lives in the KV cache,
// so that chunking, positions and cache must be right for them to be right.
//
// KV: one u64 per position; kv[p] is the hash of tokens[0..p].
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/CompiledABI.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

static uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ x >> 33;
}

/// Ends the test when the runtime breaks the contract.
static void require(bool condition) {
  if (!condition)
    std::abort();
}

/// Lets a test interrupt a generation that would be over at once.
static void sleepWhenAsked() {
  if (const char *milliseconds = std::getenv("TOY_MODEL_SLEEP_MS"))
    std::this_thread::sleep_for(
        std::chrono::milliseconds(std::atoi(milliseconds)));
}

/// The runtime's own, and the source location that OpenMP gives to it.
extern "C" void __kmpc_barrier(void *location, int32_t thread);

/// Ends the parts of ToyPayload.cpp, ten of them, with another barrier between.
static void passBarriers() {
  int32_t ofLoop[] = {0, 0x42, 0, 0, 0, 0}, alone[] = {0, 0x22, 0, 0, 0, 0};
  for (int part = 0; part < 10; ++part)
    __kmpc_barrier(ofLoop, 0);
  __kmpc_barrier(alone, 0);
}

static constexpr int64_t kTopK[] = {2, 3}, kKVBytes[] = {8, 4};

static void step(const MoeMemRef1 *weights, const MoeMemRef1 *kv,
                 const MoeMemRef1 *arena, const MoeMemRef1 *tokens,
                 const MoeMemRef1 *logits, const MoeMemRef1 *routeIds,
                 const MoeMemRef1 *routeWeights, int64_t position,
                 int64_t context, int64_t capacity, int64_t rows,
                 int64_t keyType, int64_t valueType, int64_t threads) {
  sleepWhenAsked();
  passBarriers();
  int64_t count = tokens->size;
  require(count <= capacity && capacity % 16 == 0 && rows <= count);
  require(position + count <= context && context % 64 == 0);
  require(keyType >= 0 && keyType < 2 && valueType >= 0 && valueType < 2);
  int64_t perPosition = kKVBytes[keyType] + kKVBytes[valueType];
  require(kv->size == context * perPosition && threads >= 1);
  require(arena->size == 256 * capacity + 4096 + 64 * threads);
  require(reinterpret_cast<uintptr_t>(kv->aligned) % 4096 == 0);
  require(reinterpret_cast<uintptr_t>(arena->aligned) % 64 == 0);
  require(weights->size == 8);
  int64_t vocab = rows ? logits->size / rows : 0;
  uint64_t seed;
  std::memcpy(&seed, weights->aligned, sizeof seed);
  auto *cache = static_cast<uint64_t *>(kv->aligned);
  const auto *ids = static_cast<const int32_t *>(tokens->aligned);
  auto *out = static_cast<float *>(logits->aligned);
  std::memset(arena->aligned, 0x5a, size_t(arena->size));

  for (int64_t t = 0; t < count; ++t) {
    int64_t p = position + t;
    require(cache[p] == 0);
    uint64_t before = p ? cache[p - 1] : seed;
    cache[p] = mix(before ^ uint64_t(ids[t])) | 1;
    int64_t row = t - (count - rows);
    for (int64_t v = 0; row >= 0 && v < vocab; ++v)
      out[row * vocab + v] =
          float(mix(cache[p] + uint64_t(v)) >> 40) * 0x1p-22f;
    for (int64_t i = 0, base = 0; routeIds->size && i < 2;
         base += count * kTopK[i], ++i)
      for (int64_t k = 0; k < kTopK[i]; ++k) {
        int64_t at = base + t * kTopK[i] + k;
        static_cast<int32_t *>(routeIds->aligned)[at] =
            int32_t((ids[t] + i + k) % 8);
        static_cast<float *>(routeWeights->aligned)[at] =
            float(p) + float(k) * 0.25f;
      }
  }
}

const MoeCodeVersion moe_code_versions[] = {{"x86-64-v3", 0x1d0, step}};
const int64_t moe_code_version_count = 1;
