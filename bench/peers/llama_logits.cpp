//===- llama_logits.cpp - Logits as llama.cpp computes them ---------------===//
//
// Part of moe-mlir. Caches and attention are f32, so that nothing but the
// weights' format differs from an evaluation in f32.
//
// usage: llama_logits MODEL.gguf THREADS CONTEXT
// It answers lines on stdin:
//   logits ID ...     f32 [tokens, vocabulary] as bytes, of a fresh context
//   tokenize BYTES    the ids of so many bytes of text, which follow, on a line
//
//===----------------------------------------------------------------------===//

#include "llama.h"

#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

[[noreturn]] void fail(const std::string &why) {
  std::fprintf(stderr, "llama_logits: %s\n", why.c_str());
  std::exit(1);
}

llama_context *newContext(llama_model *model, int threads, int tokens) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = tokens;
  params.n_threads = params.n_threads_batch = threads;
  params.type_k = params.type_v = GGML_TYPE_F32;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  llama_context *context = llama_init_from_model(model, params);
  if (!context)
    fail("no context of " + std::to_string(tokens) + " tokens");
  return context;
}

void writeLogits(llama_context *context, std::istream &words, int limit,
                 size_t vocabulary) {
  std::vector<llama_token> ids;
  for (llama_token id; words >> id;)
    ids.push_back(id);
  int count = int(ids.size());
  if (count > limit)
    fail(std::to_string(count) + " tokens, the context has " +
         std::to_string(limit));
  llama_memory_clear(llama_get_memory(context), true);
  llama_batch batch = llama_batch_init(count, 0, 1);
  batch.n_tokens = count;
  for (int i = 0; i < count; i++) {
    batch.token[i] = ids[i];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  if (llama_decode(context, batch))
    fail("llama_decode failed");
  for (int i = 0; i < count; i++)
    std::fwrite(llama_get_logits_ith(context, i), sizeof(float), vocabulary,
                stdout);
  std::fflush(stdout);
  llama_batch_free(batch);
}

void tokenize(const llama_vocab *vocabulary, size_t size) {
  std::string text(size, '\0');
  std::cin.read(text.data(), std::streamsize(size));
  std::vector<llama_token> ids(size);
  int count = llama_tokenize(vocabulary, text.data(), int(size), ids.data(),
                             int(size), false, false);
  if (count < 0)
    fail("llama_tokenize failed");
  for (int i = 0; i < count; i++)
    std::printf("%d ", ids[i]);
  std::printf("\n");
  std::fflush(stdout);
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 4)
    fail("usage: llama_logits MODEL.gguf THREADS CONTEXT");
  llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
  llama_backend_init();
  llama_model *model =
      llama_model_load_from_file(argv[1], llama_model_default_params());
  if (!model)
    fail(std::string(argv[1]) + ": not a model that llama.cpp loads");
  int limit = std::stoi(argv[3]);
  llama_context *context = newContext(model, std::stoi(argv[2]), limit);
  const llama_vocab *vocabulary = llama_model_get_vocab(model);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "logits") {
      writeLogits(context, words, limit, llama_vocab_n_tokens(vocabulary));
    } else if (size_t size = 0; command == "tokenize" && words >> size) {
      tokenize(vocabulary, size);
    } else {
      fail("unknown line: " + line);
    }
  }
  llama_free(context);
  llama_model_free(model);
  return 0;
}
