//===- llama_layer.cpp - One MoE layer as llama.cpp runs it ---------------===//
//
// Part of moe-mlir. The graph is the one that llama.cpp builds for a layer with
// a softmax router and SwiGLU (build_moe_ffn), in a tensor type's fastest
// buffer, repacked where its loader would repack it.
//
// usage: llama_layer HIDDEN WIDTH EXPERTS TOP_K TYPE THREADS
//
//===----------------------------------------------------------------------===//

#include "ggml_protocol.h"

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"

namespace {

ggml_context *newContext() { return ggml_init({8 << 20, nullptr, true}); }

/// The first extra buffer type that takes this product, as llama.cpp's loader
/// chooses; the plain one if none does.
ggml_backend_buffer_type_t fastestBuffer(ggml_backend_dev_t device, Shape shape,
                                         ggml_type type) {
  auto get = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device),
                                        "ggml_backend_dev_get_extra_bufts"));
  for (auto *buffer = get ? get(device) : nullptr; buffer && *buffer;
       buffer++) {
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
  Layer(Shape shape, ggml_type type, int threads, const Values &values);
  void prepare(int64_t tokens);
  double call(const std::vector<float> &x);
  std::vector<float> result() const;
  std::string about() const {
    return std::string(ggml_type_name(gate->type)) + " in " +
           ggml_backend_buft_name(buffer);
  }

private:
  ggml_tensor *build(ggml_context *context, ggml_cgraph *graph);

  Shape shape;
  ggml_backend_t backend;
  ggml_backend_buffer_type_t buffer;
  ggml_tensor *gate, *up, *down, *router;

  int64_t tokens = 0;
  ggml_context *context = nullptr;
  ggml_gallocr_t allocator = nullptr;
  ggml_cgraph *graph = nullptr;
  ggml_tensor *input = nullptr, *output = nullptr;
};

Layer::Layer(Shape shape, ggml_type type, int threads, const Values &values)
    : shape(shape), backend(ggml_backend_cpu_init()) {
  auto [hidden, width, experts, topK] = shape;
  (void)topK;
  ggml_backend_cpu_set_n_threads(backend, threads);
  buffer = fastestBuffer(ggml_backend_get_device(backend), shape, type);
  ggml_context *weights = newContext(), *plain = newContext();
  gate = ggml_new_tensor_3d(weights, type, hidden, width, experts);
  up = ggml_new_tensor_3d(weights, type, hidden, width, experts);
  down = ggml_new_tensor_3d(weights, type, width, hidden, experts);
  router = ggml_new_tensor_2d(plain, GGML_TYPE_F32, hidden, experts);
  ggml_backend_alloc_ctx_tensors_from_buft(weights, buffer);
  ggml_backend_alloc_ctx_tensors_from_buft(plain,
                                           ggml_backend_cpu_buffer_type());
  for (ggml_tensor *tensor : {gate, up, down}) {
    std::vector<char> all =
        quantized(type, values.tile, tensor->ne[1], tensor->ne[0], experts);
    ggml_backend_tensor_set(tensor, all.data(), 0, all.size());
  }
  ggml_backend_tensor_set(router, values.router.data(), 0, ggml_nbytes(router));
}

ggml_tensor *Layer::build(ggml_context *c, ggml_cgraph *g) {
  auto [hidden, width, experts, topK] = shape;
  (void)width;
  ggml_tensor *shares = ggml_soft_max(c, ggml_mul_mat(c, router, input));
  ggml_tensor *chosen = ggml_argsort_top_k(c, shares, int(topK));
  ggml_tensor *weights =
      ggml_get_rows(c, ggml_reshape_3d(c, shares, 1, experts, tokens), chosen);
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

/// Builds the graph for calls of this size.
void Layer::prepare(int64_t count) {
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
}

double Layer::call(const std::vector<float> &x) {
  ggml_backend_tensor_set(input, x.data(), 0, ggml_nbytes(input));
  double start = now();
  ggml_backend_graph_compute(backend, graph);
  return now() - start;
}

std::vector<float> Layer::result() const {
  std::vector<float> row(shape.hidden);
  ggml_backend_tensor_get(output, row.data(), 0, shape.hidden * sizeof(float));
  return row;
}

} // namespace

int main(int count, char **words) { return serve<Layer>(count, words); }
