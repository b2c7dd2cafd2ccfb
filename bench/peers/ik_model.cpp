//===- ik_model.cpp - A whole model as ik_llama.cpp runs it ---------------===//
//
// Part of moe-mlir. Times PROMPT tokens in one batch with the logits of the
// last, or GENERATE tokens one by one, as llama-bench does, after the same once
// to warm up. Tensors are repacked as by -rtr; fused MoE and flash attention
// (-fmoe, -fa) are on, a cache of f16.
//
// usage: ik_model MODEL.gguf PROMPT GENERATE THREADS      one of both is 0
//
//===----------------------------------------------------------------------===//

#include "llama.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

[[noreturn]] void fail(const std::string &why) {
  std::fprintf(stderr, "ik_model: %s\n", why.c_str());
  std::exit(1);
}

/// Repacked tensors are copies: without the file's own pages the other party's
/// model stays in memory.
void dropPages(const char *path) {
  int file = open(path, O_RDONLY);
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  close(file);
}

llama_model *load(const char *path) {
  llama_model_params params = llama_model_default_params();
  params.repack_tensors = true;
  llama_model *model = llama_model_load_from_file(path, params);
  if (!model)
    fail(std::string(path) + ": not a model that ik_llama.cpp loads");
  dropPages(path);
  return model;
}

llama_context *newContext(llama_model *model, int tokens, int threads) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = tokens;
  params.n_threads = params.n_threads_batch = threads;
  params.flash_attn = params.fused_moe_up_gate = true;
  llama_context *context = llama_init_from_model(model, params);
  if (!context)
    fail("no context of " + std::to_string(tokens) + " tokens");
  return context;
}

/// Seconds of `calls` calls of `tokens` random tokens each.
double run(llama_context *context, int vocabulary, int calls, int tokens) {
  std::vector<llama_token> ids(tokens);
  llama_kv_cache_clear(context);
  auto start = std::chrono::steady_clock::now();
  for (int call = 0; call < calls; call++) {
    for (llama_token &id : ids)
      id = std::rand() % vocabulary;
    llama_batch batch =
        llama_batch_get_one(ids.data(), tokens, call * tokens, 0);
    if (llama_decode(context, batch))
      fail("llama_decode failed");
    llama_synchronize(context);
  }
  std::chrono::duration<double> passed =
      std::chrono::steady_clock::now() - start;
  return passed.count();
}

} // namespace

int main(int count, char **words) {
  if (count != 5)
    fail("usage: ik_model MODEL.gguf PROMPT GENERATE THREADS");
  int prompt = std::atoi(words[2]), generate = std::atoi(words[3]);
  int threads = std::atoi(words[4]);
  if (threads < 1 || (prompt < 1) == (generate < 1))
    fail("expected PROMPT or GENERATE from 1 on, the other 0, and THREADS from "
         "1 on");
  llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
  llama_backend_init();
  llama_model *model = load(words[1]);
  llama_context *context =
      newContext(model, std::max(prompt, generate), threads);
  int calls = prompt ? 1 : generate, tokens = std::max(prompt, 1);
  int vocabulary = llama_n_vocab(model);
  run(context, vocabulary, calls, tokens);
  std::printf("{\"seconds\": %.9f}\n", run(context, vocabulary, calls, tokens));
  llama_free(context);
  llama_free_model(model);
  return 0;
}
