//===- ggml_layer.cpp - One MoE layer as llama.cpp runs it ----------------===//
//
// Part of moe-mlir. The graph is the one that llama.cpp builds for a layer with
// a softmax router and SwiGLU (build_moe_ffn), in a tensor type's fastest
// buffer, repacked where its loader would repack it.
//
// usage: ggml_layer HIDDEN WIDTH EXPERTS TOP_K TYPE THREADS
//
// Speaks the protocol of bench/measure/peer.py on stdin and stdout.
//
//===----------------------------------------------------------------------===//

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace {

struct Shape {
  int64_t hidden, width, experts, topK;
};

double now() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

std::mt19937 generator(1);

std::vector<float> normal(size_t count, float scale) {
  std::normal_distribution<float> distribution(0, scale);
  std::vector<float> values(count);
  for (float &value : values)
    value = distribution(generator);
  return values;
}

ggml_type typeNamed(const std::string &name) {
  for (int i = 0; i < GGML_TYPE_COUNT; i++)
    if (const char *known = ggml_type_name(ggml_type(i)); known && name == known)
      return ggml_type(i);
  std::fprintf(stderr, "ggml_layer: no type '%s'\n", name.c_str());
  std::exit(2);
}

ggml_context *newContext(size_t bytes = 8 << 20) {
  return ggml_init({bytes, nullptr, true});
}

/// The first extra buffer type that takes this product, as llama.cpp's loader
/// chooses; the plain one if none does.
ggml_backend_buffer_type_t fastestBuffer(ggml_backend_dev_t device, Shape shape,
                                         ggml_type type) {
  auto get = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device),
                                        "ggml_backend_dev_get_extra_bufts"));
  for (auto *buffer = get ? get(device) : nullptr; buffer && *buffer; buffer++) {
    ggml_context *context = newContext();
    ggml_tensor *weight = ggml_new_tensor_3d(context, type, shape.hidden,
                                             shape.width, shape.experts);
    ggml_tensor *rows = ggml_new_tensor_3d(context, GGML_TYPE_F32, shape.hidden,
                                           shape.topK, 512);
    ggml_tensor *ids =
        ggml_new_tensor_2d(context, GGML_TYPE_I32, shape.topK, 512);
    ggml_tensor *product = ggml_mul_mat_id(context, weight, rows, ids);
    weight->buffer = ggml_backend_buft_alloc_buffer(*buffer, 0);
    bool takes = ggml_backend_dev_supports_op(device, product);
    ggml_backend_buffer_free(weight->buffer);
    ggml_free(context);
    if (takes)
      return *buffer;
  }
  return ggml_backend_cpu_buffer_type();
}

class Layer {
public:
  Layer(Shape shape, ggml_type type, int threads);
  void prepare(int64_t tokens, int calls);
  void draw();
  std::vector<double> run();
  double error();
  const char *bufferName() const { return ggml_backend_buft_name(buffer); }

private:
  void setExperts(ggml_tensor *tensor, const std::vector<float> &values);
  ggml_tensor *build(ggml_context *context, ggml_cgraph *graph);
  double call(size_t i);

  Shape shape;
  ggml_type type;
  ggml_backend_t backend;
  ggml_backend_buffer_type_t buffer;
  ggml_tensor *gate, *up, *down, *router;
  // All experts hold the same values, each in memory of its own.
  std::vector<float> tile, routerValues;

  int64_t tokens = 0;
  ggml_context *context = nullptr;
  ggml_gallocr_t allocator = nullptr;
  ggml_cgraph *graph = nullptr;
  ggml_tensor *input = nullptr, *output = nullptr;
  std::vector<std::vector<float>> inputs;
};

Layer::Layer(Shape shape, ggml_type type, int threads)
    : shape(shape), type(type), backend(ggml_backend_cpu_init()) {
  ggml_backend_cpu_set_n_threads(backend, threads);
  buffer = fastestBuffer(ggml_backend_get_device(backend), shape, type);
  ggml_context *weights = newContext(), *plain = newContext();
  gate = ggml_new_tensor_3d(weights, type, shape.hidden, shape.width,
                            shape.experts);
  up = ggml_new_tensor_3d(weights, type, shape.hidden, shape.width,
                          shape.experts);
  down = ggml_new_tensor_3d(weights, type, shape.width, shape.hidden,
                            shape.experts);
  router = ggml_new_tensor_2d(plain, GGML_TYPE_F32, shape.hidden, shape.experts);
  ggml_backend_alloc_ctx_tensors_from_buft(weights, buffer);
  ggml_backend_alloc_ctx_tensors_from_buft(plain, ggml_backend_cpu_buffer_type());
  tile = normal(shape.hidden * shape.width, 0.02f);
  routerValues = normal(shape.hidden * shape.experts,
                        1 / std::sqrt(float(shape.hidden)));
  for (ggml_tensor *tensor : {gate, up, down})
    setExperts(tensor, tile);
  ggml_backend_tensor_set(router, routerValues.data(), 0, ggml_nbytes(router));
}

void Layer::setExperts(ggml_tensor *tensor, const std::vector<float> &values) {
  std::vector<char> one(ggml_row_size(type, tensor->ne[0]) * tensor->ne[1]);
  if (type == GGML_TYPE_F32)
    std::memcpy(one.data(), values.data(), one.size());
  else
    ggml_quantize_chunk(type, values.data(), one.data(), 0, tensor->ne[1],
                        tensor->ne[0], nullptr);
  std::vector<char> all(ggml_nbytes(tensor));
  for (int64_t e = 0; e < shape.experts; e++)
    std::memcpy(all.data() + e * one.size(), one.data(), one.size());
  ggml_backend_tensor_set(tensor, all.data(), 0, all.size());
}

ggml_tensor *Layer::build(ggml_context *c, ggml_cgraph *g) {
  auto [hidden, width, experts, topK] = shape;
  ggml_tensor *shares = ggml_soft_max(c, ggml_mul_mat(c, router, input));
  ggml_tensor *chosen = ggml_argsort_top_k(c, shares, int(topK));
  ggml_tensor *weights = ggml_get_rows(
      c, ggml_reshape_3d(c, shares, 1, experts, tokens), chosen);
  ggml_build_forward_expand(g, weights);
  ggml_tensor *rows = ggml_reshape_3d(c, input, hidden, 1, tokens);
  ggml_tensor *ups = ggml_mul_mat_id(c, up, rows, chosen);
  ggml_tensor *gates = ggml_mul_mat_id(c, gate, rows, chosen);
  ggml_tensor *results =
      ggml_mul_mat_id(c, down, ggml_swiglu_split(c, gates, ups), chosen);
  results = ggml_mul(c, results, weights);
  ggml_build_forward_expand(g, results);
  ggml_tensor *sum = nullptr;
  for (int64_t k = 0; k < topK; k++) {
    ggml_tensor *one = ggml_view_2d(c, results, hidden, tokens, results->nb[2],
                                    k * results->nb[1]);
    ggml_build_forward_expand(g, one);
    sum = sum ? ggml_add(c, sum, one) : one;
    ggml_build_forward_expand(g, sum);
  }
  return topK == 1 ? ggml_cont(c, sum) : sum;
}

/// Builds the graph for calls of this size, draws inputs, warms up.
void Layer::prepare(int64_t count, int calls) {
  if (context) {
    ggml_gallocr_free(allocator);
    ggml_free(context);
  }
  tokens = count;
  context = newContext();
  input = ggml_new_tensor_2d(context, GGML_TYPE_F32, shape.hidden, tokens);
  ggml_set_input(input);
  graph = ggml_new_graph(context);
  output = build(context, graph);
  ggml_set_output(output);
  ggml_build_forward_expand(graph, output);
  allocator = ggml_gallocr_new(ggml_backend_cpu_buffer_type());
  ggml_gallocr_alloc_graph(allocator, graph);
  inputs.assign(calls, {});
  draw();
  call(0);
}

/// New inputs, so that the next calls choose other experts.
void Layer::draw() {
  for (auto &values : inputs)
    values = normal(shape.hidden * tokens, 1);
}

double Layer::call(size_t i) {
  ggml_backend_tensor_set(input, inputs[i].data(), 0, ggml_nbytes(input));
  double start = now();
  ggml_backend_graph_compute(backend, graph);
  return now() - start;
}

std::vector<double> Layer::run() {
  std::vector<double> seconds;
  for (size_t i = 0; i < inputs.size(); i++)
    seconds.push_back(call(i));
  return seconds;
}

/// Of the first row of the last call, against f64 with the weights before
/// quantization: root of squares, relative.
double Layer::error() {
  auto [hidden, width, experts, topK] = shape;
  const std::vector<float> &x = inputs.back();
  std::vector<double> logits(experts), inner(width);
  for (int64_t e = 0; e < experts; e++)
    for (int64_t j = 0; j < hidden; j++)
      logits[e] += double(routerValues[e * hidden + j]) * x[j];
  std::sort(logits.rbegin(), logits.rend());
  double all = 0, taken = 0;
  for (int64_t e = 0; e < experts; e++) {
    double share = std::exp(logits[e] - logits[0]);
    all += share;
    taken += e < topK ? share : 0;
  }
  for (int64_t i = 0; i < width; i++) {
    double sum = 0;
    for (int64_t j = 0; j < hidden; j++)
      sum += double(tile[i * hidden + j]) * x[j];
    inner[i] = sum / (1 + std::exp(-sum)) * sum;
  }
  std::vector<float> found(hidden);
  ggml_backend_tensor_get(output, found.data(), 0, hidden * sizeof(float));
  double difference = 0, size = 0;
  for (int64_t i = 0; i < hidden; i++) {
    double sum = 0;
    for (int64_t j = 0; j < width; j++)
      sum += double(tile[i * width + j]) * inner[j];
    sum *= taken / all;
    difference += (sum - found[i]) * (sum - found[i]);
    size += sum * sum;
  }
  return std::sqrt(difference / size);
}

} // namespace

int main(int count, char **words) {
  if (count != 7) {
    std::fprintf(stderr,
                 "usage: ggml_layer HIDDEN WIDTH EXPERTS TOP_K TYPE THREADS\n");
    return 2;
  }
  Shape shape{std::atol(words[1]), std::atol(words[2]), std::atol(words[3]),
              std::atol(words[4])};
  Layer layer(shape, typeNamed(words[5]), std::atoi(words[6]));
  std::printf("{\"about\": \"%s in %s\"}\n", words[5], layer.bufferName());
  std::fflush(stdout);
  long tokens;
  int calls;
  for (char line[256]; std::fgets(line, sizeof line, stdin);) {
    if (std::sscanf(line, "prepare %ld %d", &tokens, &calls) == 2) {
      layer.prepare(tokens, calls);
      layer.run();
      std::printf("{\"error\": %g}\n", layer.error());
    } else if (!std::strcmp(line, "draw\n")) {
      layer.draw();
      std::printf("{}\n");
    } else {
      std::vector<double> seconds = layer.run();
      std::printf("[");
      for (size_t i = 0; i < seconds.size(); i++)
        std::printf("%s%.9f", i ? ", " : "", seconds[i]);
      std::printf("]\n");
    }
    std::fflush(stdout);
  }
}
