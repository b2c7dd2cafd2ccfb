//===- ik_layer.cpp - One MoE layer as ik_llama.cpp runs it ---------------===//
//
// Part of moe-mlir. The graph is the one that ik_llama.cpp builds for a layer
// with a softmax router and SwiGLU (llm_build_moe_ffn) with its fused MoE, on
// tensors repacked as by -rtr 1 where a type has a repacked form.
//
// usage: ik_layer HIDDEN WIDTH EXPERTS TOP_K TYPE THREADS
//
//===----------------------------------------------------------------------===//

#include "ggml_protocol.h"

extern "C" void iqk_repack_tensor(struct ggml_tensor *tensor);

namespace {

ggml_context *newContext(size_t bytes, bool noAlloc) {
  return ggml_init({bytes, nullptr, noAlloc});
}

class Layer {
public:
  Layer(Shape shape, ggml_type type, int threads, const Values &values);
  void prepare(int64_t tokens);
  double call(const std::vector<float> &x);
  std::vector<float> result() const {
    const float *row = static_cast<const float *>(output->data);
    return {row, row + shape.hidden};
  }
  std::string about() const { return ggml_type_name(gate->type); }

private:
  ggml_tensor *newWeight(ggml_type type, int64_t columns, int64_t rows,
                         const Values &values);

  Shape shape;
  int threads;
  ggml_context *weights = newContext(8 << 20, true);
  ggml_tensor *gate, *up, *down, *router;

  ggml_context *context = nullptr;
  ggml_cgraph *graph = nullptr;
  ggml_tensor *input = nullptr, *output = nullptr;
  ggml_cplan plan;
  std::vector<uint8_t> scratch;
};

void *hugePages(size_t bytes) {
  constexpr size_t page = 2 << 20;
  return std::aligned_alloc(page, (bytes + page - 1) / page * page);
}

ggml_tensor *Layer::newWeight(ggml_type type, int64_t columns, int64_t rows,
                              const Values &values) {
  ggml_tensor *tensor =
      ggml_new_tensor_3d(weights, type, columns, rows, shape.experts);
  std::vector<char> all =
      quantized(type, values.tile, rows, columns, shape.experts);
  tensor->data = hugePages(all.size());
  std::memcpy(tensor->data, all.data(), all.size());
  iqk_repack_tensor(tensor);
  return tensor;
}

Layer::Layer(Shape shape, ggml_type type, int threads, const Values &values)
    : shape(shape), threads(threads) {
  gate = newWeight(type, shape.hidden, shape.width, values);
  up = newWeight(type, shape.hidden, shape.width, values);
  down = newWeight(type, shape.width, shape.hidden, values);
  router =
      ggml_new_tensor_2d(weights, GGML_TYPE_F32, shape.hidden, shape.experts);
  router->data = hugePages(ggml_nbytes(router));
  std::memcpy(router->data, values.router.data(), ggml_nbytes(router));
}

/// Builds the graph for calls of this size; intermediates lie in its context.
void Layer::prepare(int64_t tokens) {
  auto [hidden, width, experts, topK] = shape;
  if (context)
    ggml_free(context);
  size_t rows = size_t(tokens) * topK * (2 * hidden + 3 * width) * 8;
  context = newContext(rows + (256 << 20), false);
  input = ggml_new_tensor_2d(context, GGML_TYPE_F32, hidden, tokens);
  // In place: its fused top-k reads the logits from the softmax's own memory.
  ggml_tensor *shares =
      ggml_soft_max_inplace(context, ggml_mul_mat(context, router, input));
  ggml_tensor *chosen = ggml_top_k(context, shares, int(topK));
  ggml_tensor *weight = ggml_get_rows(
      context, ggml_reshape_3d(context, shares, 1, experts, tokens), chosen);
  graph = ggml_new_graph(context);
  ggml_build_forward_expand(graph, weight);
  ggml_tensor *inner = ggml_moe_up_gate(
      context, up, gate, ggml_reshape_3d(context, input, hidden, 1, tokens),
      chosen, GGML_UNARY_OP_SILU);
  output = ggml_mul_multi_add(
      context, ggml_mul_mat_id(context, down, inner, chosen), weight);
  ggml_build_forward_expand(graph, output);
  plan = ggml_graph_plan(graph, threads);
  scratch.resize(plan.work_size + 64);
  plan.work_data = scratch.data();
}

double Layer::call(const std::vector<float> &x) {
  std::memcpy(input->data, x.data(), x.size() * sizeof(float));
  double start = now();
  ggml_graph_compute(graph, &plan);
  return now() - start;
}

} // namespace

int main(int count, char **words) { return serve<Layer>(count, words); }
