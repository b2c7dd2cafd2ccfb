//===- ggml_protocol.h - What the programs of both ggml's share -----------===//
//
// Part of moe-mlir. Random values, the check, and the protocol of
// bench/measure/peer.py on stdin and stdout.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_BENCH_GGML_PROTOCOL_H
#define MOE_BENCH_GGML_PROTOCOL_H

#include "ggml.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

struct Shape {
  int64_t hidden, width, experts, topK;
};

inline double now() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

inline std::vector<float> normal(size_t count, float scale) {
  static std::mt19937 generator(1);
  std::normal_distribution<float> distribution(0, scale);
  std::vector<float> values(count);
  for (float &value : values)
    value = distribution(generator);
  return values;
}

inline ggml_type typeNamed(const std::string &name) {
  for (int i = 0; i < GGML_TYPE_COUNT; i++)
    if (const char *known = ggml_type_name(ggml_type(i));
        known && name == known)
      return ggml_type(i);
  std::fprintf(stderr, "no type '%s'\n", name.c_str());
  std::exit(2);
}

/// What a layer holds before quantization. All experts have the same values,
/// each in memory of its own.
struct Values {
  explicit Values(Shape shape)
      : tile(normal(shape.hidden * shape.width, 0.02f)),
        router(normal(shape.hidden * shape.experts,
                      1 / std::sqrt(float(shape.hidden)))) {}
  std::vector<float> tile, router;
};

/// The bytes of all experts: `rows` rows of `columns` each.
inline std::vector<char> quantized(ggml_type type,
                                   const std::vector<float> &tile, int64_t rows,
                                   int64_t columns, int64_t experts) {
  std::vector<char> one(ggml_row_size(type, columns) * rows);
  if (type == GGML_TYPE_F32)
    std::memcpy(one.data(), tile.data(), one.size());
  else
    ggml_quantize_chunk(type, tile.data(), one.data(), 0, rows, columns,
                        nullptr);
  std::vector<char> all;
  all.reserve(one.size() * experts);
  for (int64_t e = 0; e < experts; e++)
    all.insert(all.end(), one.begin(), one.end());
  return all;
}

/// Of a result for the row x, against f64 with the values before quantization:
/// root of squares, relative.
inline double relativeError(Shape shape, const Values &values, const float *x,
                            const float *found) {
  auto [hidden, width, experts, topK] = shape;
  auto dot = [](const float *a, const auto *b, int64_t count) {
    double sum = 0;
    for (int64_t j = 0; j < count; j++)
      sum += double(a[j]) * b[j];
    return sum;
  };
  std::vector<double> logits(experts), inner(width);
  for (int64_t e = 0; e < experts; e++)
    logits[e] = dot(&values.router[e * hidden], x, hidden);
  std::sort(logits.rbegin(), logits.rend());
  double all = 0, taken = 0;
  for (int64_t e = 0; e < experts; e++) {
    double share = std::exp(logits[e] - logits[0]);
    all += share;
    taken += e < topK ? share : 0;
  }
  for (int64_t i = 0; i < width; i++) {
    double sum = dot(&values.tile[i * hidden], x, hidden);
    inner[i] = sum / (1 + std::exp(-sum)) * sum;
  }
  double difference = 0, size = 0;
  for (int64_t i = 0; i < hidden; i++) {
    double sum =
        taken / all * dot(&values.tile[i * width], inner.data(), width);
    difference += (sum - found[i]) * (sum - found[i]);
    size += sum * sum;
  }
  return std::sqrt(difference / size);
}

/// As bench/measure/host.py's Sweep: no call finds what the one before it read.
inline void sweep() {
  static const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  static const std::vector<uint64_t> lines((cache > 0 ? cache : 32 << 20) * 3 /
                                           2 / sizeof(uint64_t));
  static volatile uint64_t sink;
  uint64_t sum = 0;
  for (uint64_t line : lines)
    sum += line;
  sink = sum;
  (void)sink;
}

/// A Layer is made from (shape, type, threads) and has about(),
/// prepare(tokens), call(input) giving seconds, and result(), the first row.
template <class Layer> int serve(int count, char **words) {
  if (count != 7) {
    std::fprintf(stderr, "usage: %s HIDDEN WIDTH EXPERTS TOP_K TYPE THREADS\n",
                 words[0]);
    return 2;
  }
  Shape shape{std::atol(words[1]), std::atol(words[2]), std::atol(words[3]),
              std::atol(words[4])};
  Values values(shape);
  Layer layer(shape, typeNamed(words[5]), std::atoi(words[6]), values);
  std::printf("{\"about\": \"%s\"}\n", layer.about().c_str());
  std::fflush(stdout);

  std::vector<std::vector<float>> inputs;
  long tokens = 0;
  size_t calls = 0;
  auto draw = [&] {
    inputs.clear();
    for (size_t i = 0; i < calls; i++)
      inputs.push_back(normal(shape.hidden * tokens, 1));
  };
  for (char line[256]; std::fgets(line, sizeof line, stdin);) {
    if (std::sscanf(line, "prepare %ld %zu", &tokens, &calls) == 2) {
      draw();
      layer.prepare(tokens);
      layer.call(inputs[0]);
      std::vector<float> row = layer.result();
      std::printf("{\"error\": %g}\n",
                  relativeError(shape, values, inputs[0].data(), row.data()));
    } else if (!std::strcmp(line, "draw\n")) {
      draw();
      std::printf("{}\n");
    } else {
      std::vector<double> seconds;
      for (const std::vector<float> &input : inputs) {
        sweep();
        seconds.push_back(layer.call(input));
      }
      for (size_t i = 0; i < calls; i++)
        std::printf("%s%.9f", i ? ", " : "[", seconds[i]);
      std::printf("]\n");
    }
    std::fflush(stdout);
  }
  return 0;
}

#endif
