//===- Ceilings.cpp - What this machine can do, measured now --------------===//
//
// Part of moe-mlir. bench/ceilings has more loops and tries; these are the ones
// that won there.
//
//===----------------------------------------------------------------------===//

#include "Ceilings.h"

#include "OpenMP/ThreadPool.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace moe::runtime {

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

namespace {
/// Runs `work(thread)` on each thread until its time is over; the sum of what
/// it returns, a second.
template <typename Work>
double rateOf(int64_t threads, double time, const Work &work) {
  struct Region {
    const Work &work;
    double time;
    Clock::time_point start;
    std::atomic<double> sum{0};
  } region{work, time, Clock::now()};
  auto run = [](void *context) {
    auto &region = *static_cast<Region *>(context);
    int thread = openmp::ThreadPool::place().thread;
    double mine = 0;
    do
      mine += region.work(thread);
    while (secondsSince(region.start) < region.time);
    region.sum.fetch_add(mine);
  };
  openmp::ThreadPool::get().run(int(threads), run, &region);
  return region.sum / secondsSince(region.start);
}

/// Best of `tries` of `time` seconds.
template <typename Work>
double bestRateOf(int64_t threads, double time, int tries, const Work &work) {
  double best = 0;
  for (int i = 0; i < tries; ++i)
    best = std::max(best, rateOf(threads, time, work));
  return best;
}
} // namespace

#if defined(__x86_64__)

/// Hides a value from the compiler: neither hoisted nor merged.
#define OPAQUE(value) asm volatile("" : "+x"(value))
#define OPAQUE_WIDE(value) asm volatile("" : "+v"(value))
#define TARGET(features) __attribute__((target(features), noinline))

static constexpr int64_t kBlock = 256;

/// A way to read memory: as many streams at once, each of them asking for lines
/// so many bytes ahead, or (0) leaving that to the machine's prefetchers.
struct ReadWay {
  int64_t streams, ahead;
};
static constexpr ReadWay kReadWays[] = {{1, 0},    {2, 0},    {4, 0},
                                        {2, 2048}, {4, 2048}, {8, 2048}};

/// Reads streams of `each` bytes, a multiple of kBlock, one behind the other.
TARGET("avx2")
static int64_t readStreams(const char *p, int64_t each, ReadWay way) {
  __m256i sum[8] = {};
  for (int64_t i = 0; i < each; i += kBlock)
    for (int64_t s = 0; s < way.streams; ++s) {
      const char *q = p + s * each + i;
      if (way.ahead)
        for (int j = 0; j < kBlock; j += 64)
          _mm_prefetch(q + way.ahead + j, _MM_HINT_T0);
      for (int j = 0; j < 8; ++j)
        sum[j] = _mm256_add_epi64(
            sum[j],
            _mm256_loadu_si256(reinterpret_cast<const __m256i *>(q + 32 * j)));
    }
  int64_t total = 0;
  for (__m256i &each : sum)
    total ^= _mm256_extract_epi64(each, 0) ^ _mm256_extract_epi64(each, 3);
  return total;
}

// Each runs `n` rounds of as many chains as hide the latency of one. All have
// this form: sums and a factor in registers, which nothing reads afterwards.
#define LOOP(name, features, vector, chains, step, opaque)                     \
  TARGET(features) static void name(int64_t n) {                               \
    vector sum[chains] = {}, x = {}, w = {};                                   \
    opaque(x);                                                                 \
    for (int64_t k = 0; k < n; ++k) {                                          \
      opaque(w);                                                               \
      _Pragma("GCC unroll 24") for (int i = 0; i < chains; ++i) sum[i] = step; \
    }                                                                          \
    _Pragma("GCC unroll 24") for (int i = 0; i < chains; ++i) opaque(sum[i]);  \
  }
LOOP(fmaWide, "avx512f", __m512, 24, _mm512_fmadd_ps(x, w, sum[i]), OPAQUE_WIDE)
LOOP(fma, "avx2,fma", __m256, 10, _mm256_fmadd_ps(x, w, sum[i]), OPAQUE)
LOOP(pairs, "avx512f,avx512bf16", __m512, 24,
     _mm512_dpbf16_ps(sum[i], (__m512bh)x, (__m512bh)w), OPAQUE_WIDE)
LOOP(quadsWide, "avx512f,avx512vnni", __m512i, 24,
     _mm512_dpbusd_epi32(sum[i], x, w), OPAQUE_WIDE)
LOOP(quads, "avx2,avxvnni", __m256i, 12, _mm256_dpbusd_avx_epi32(sum[i], x, w),
     OPAQUE)
// Two instructions for a step, of which the first takes the chain's sum: one
// product for all chains would be made once.
LOOP(bytesWide, "avx512f,avx512bw", __m512i, 24,
     _mm512_add_epi16(sum[i], _mm512_maddubs_epi16(x, sum[i])), OPAQUE_WIDE)
LOOP(bytes, "avx2", __m256i, 10,
     _mm256_add_epi16(sum[i], _mm256_maddubs_epi16(x, sum[i])), OPAQUE)
LOOP(halvesWide, "avx512f,avx512bw", __m512i, 24,
     _mm512_add_epi32(sum[i], _mm512_madd_epi16(x, sum[i])), OPAQUE_WIDE)
LOOP(halves, "avx2", __m256i, 10,
     _mm256_add_epi32(sum[i], _mm256_madd_epi16(x, sum[i])), OPAQUE)
#undef LOOP

// A group of 32 columns is summed by eight of the instruction; then it becomes
// f32 and joins a sum times two scales.
#define GROUP_LOOP(name, features, integers, floats, chains, dot, join,        \
                   opaque)                                                     \
  TARGET(features) static void name(int64_t n) {                               \
    floats sum[chains] = {}, rowScale = {}, columnScale = {};                  \
    integers x = {}, w = {};                                                   \
    opaque(x);                                                                 \
    opaque(columnScale);                                                       \
    for (int64_t k = 0; k < n; ++k) {                                          \
      _Pragma("GCC unroll 12") for (int i = 0; i < chains; ++i) {              \
        integers group = {};                                                   \
        opaque(group);                                                         \
        opaque(rowScale);                                                      \
        _Pragma("GCC unroll 8") for (int j = 0; j < 8; ++j) group = dot;       \
        sum[i] = join;                                                         \
      }                                                                        \
    }                                                                          \
    _Pragma("GCC unroll 12") for (int i = 0; i < chains; ++i) opaque(sum[i]);  \
  }
GROUP_LOOP(groupsWide, "avx512f,avx512vnni", __m512i, __m512, 12,
           _mm512_dpbusd_epi32(group, x, w),
           _mm512_fmadd_ps(_mm512_cvtepi32_ps(group),
                           _mm512_mul_ps(rowScale, columnScale), sum[i]),
           OPAQUE_WIDE)
GROUP_LOOP(groups, "avx2,fma,avxvnni", __m256i, __m256, 8,
           _mm256_dpbusd_avx_epi32(group, x, w),
           _mm256_fmadd_ps(_mm256_cvtepi32_ps(group),
                           _mm256_mul_ps(rowScale, columnScale), sum[i]),
           OPAQUE)
#undef GROUP_LOOP

namespace {
/// What LDTILECFG reads.
struct alignas(64) TileConfiguration {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
} // namespace

// Of AMX: four tiles of sums, two by two.
#define TILE_LOOP(name, features, step)                                        \
  TARGET(features) static void name(int64_t n) {                               \
    static constexpr TileConfiguration kWhole;                                 \
    _tile_loadconfig(&kWhole);                                                 \
    for (int64_t k = 0; k < n; ++k) {                                          \
      step(0, 4, 6);                                                           \
      step(1, 4, 7);                                                           \
      step(2, 5, 6);                                                           \
      step(3, 5, 7);                                                           \
    }                                                                          \
    _tile_release();                                                           \
  }
TILE_LOOP(tilePairs, "amx-tile,amx-bf16", _tile_dpbf16ps)
TILE_LOOP(tileQuads, "amx-tile,amx-int8", _tile_dpbsud)
#undef TILE_LOOP

static constexpr PeakLoop
    kFloats = {"vfmadd ymm", fma, 10 * 8 * 2},
    kFloatsWide = {"vfmadd zmm", fmaWide, 24 * 16 * 2},
    kPairs = {"vdpbf16ps zmm", pairs, 24 * 32 * 2},
    kQuads = {"vpdpbusd ymm", quads, 12 * 32 * 2},
    kQuadsWide = {"vpdpbusd zmm", quadsWide, 24 * 64 * 2},
    kGroups = {"vpdpbusd ymm, scaled", groups, 8 * 8 * 32 * 2},
    kGroupsWide = {"vpdpbusd zmm, scaled", groupsWide, 12 * 8 * 64 * 2},
    kBytes = {"vpmaddubsw ymm", bytes, 10 * 32 * 2},
    kBytesWide = {"vpmaddubsw zmm", bytesWide, 24 * 64 * 2},
    kHalves = {"vpmaddwd ymm", halves, 10 * 16 * 2},
    kHalvesWide = {"vpmaddwd zmm", halvesWide, 24 * 32 * 2},
    kTilePairs = {"tdpbf16ps", tilePairs, 4 * 16 * 16 * 32 * 2},
    kTileQuads = {"tdpbsud", tileQuads, 4 * 16 * 16 * 64 * 2};

static bool has(const TargetInfo &target, const char *feature) {
  return std::ranges::count(target.features, feature) > 0;
}

/// As the compiler chooses (fromX86Features, byteDotOf): without VPDPBUSD only
/// codes of a few bits are multiplied as bytes.
static const PeakLoop &integerLoop(const TargetInfo &target, bool isWide,
                                   const std::string &format, bool inGroups) {
  if (has(target, isWide ? "avx512vnni" : "avxvnni")) {
    if (inGroups)
      return isWide ? kGroupsWide : kGroups;
    return isWide ? kQuadsWide : kQuads;
  }
  if (format.starts_with("int8") || format == "int4_nl")
    return isWide ? kHalvesWide : kHalves;
  return isWide ? kBytesWide : kBytes;
}

const PeakLoop *findPeakLoop(const std::string &recipe,
                             const TargetInfo &target,
                             const std::string &format) {
  if (!has(target, "avx2"))
    return nullptr;
  bool isWide = has(target, "avx512f") && has(target, "avx512bw") &&
                has(target, "avx512vl") && has(target, "avx512dq");
  if (recipe == "widen-f32-fma")
    return isWide ? &kFloatsWide : &kFloats;
  if (recipe == "bf16-dot-pairs")
    return isWide && has(target, "avx512bf16") ? &kPairs : nullptr;
  if (recipe == "bf16-tile-pairs")
    return has(target, "amx-bf16") ? &kTilePairs : nullptr;
  if (recipe == "group-sums" && has(target, "amx-int8"))
    return &kTileQuads;
  if (recipe == "group-sums" || recipe == "row-sums")
    return &integerLoop(target, isWide, format, recipe == "group-sums");
  return nullptr;
}

/// The best of all ways, as bench/ceilings takes it.
double measureReadRate(Bytes memory, int64_t threads) {
  // No power of two: streams 64 MiB apart are read slower (Zen 3).
  static constexpr int64_t kMost = int64_t(509) << 20;
  int64_t each = std::min(int64_t(memory.size()), kMost) / threads;
  auto *start = reinterpret_cast<const char *>(memory.data());
  double best = 0;
  for (const ReadWay &way : kReadWays) {
    int64_t stream = each / way.streams / kBlock * kBlock;
    if (stream == 0)
      continue;
    int64_t bytes = stream * way.streams;
    best = std::max(best, bestRateOf(threads, 0.01, 4, [&](int thread) {
                      int64_t sum =
                          readStreams(start + bytes * thread, stream, way);
                      asm volatile("" ::"r"(sum));
                      return double(bytes);
                    }));
  }
  return best;
}

#else

const PeakLoop *findPeakLoop(const std::string &, const TargetInfo &,
                             const std::string &) {
  return nullptr;
}

double measureReadRate(Bytes, int64_t) { return 0; }

#endif

double measurePeak(const PeakLoop *loop, int64_t threads) {
  static constexpr int64_t kRounds = 2000;
  if (!loop)
    return 0;
  return bestRateOf(threads, 0.01, 10, [&](int) {
    loop->run(kRounds);
    return loop->flops * double(kRounds);
  });
}

} // namespace moe::runtime
