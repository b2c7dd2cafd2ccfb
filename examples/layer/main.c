/* Calls a compiled Mixture-of-Experts layer and compares it with plain loops.
 *
 * Sizes are those of layer.mlir; -DHIDDEN=... and the others fit other graphs
 * of the same form, -DBF16 one whose input and weights are bf16. */
#include "libmoe_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef HIDDEN
#define HIDDEN 64
#define WIDTH 32
#define EXPERTS 8
#define TOP_K 2
#endif

#ifdef BF16
typedef uint16_t element; /* the upper half of a float */
#define TOLERANCE 2e-2
#else
typedef float element;
#define TOLERANCE 2e-5
#endif

static double value(element e) {
#ifdef BF16
  uint32_t bits = (uint32_t)e << 16;
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
#else
  return e;
#endif
}

/* Fills an array with numbers between -scale and scale. */
static element *random_array(size_t count, float scale) {
  element *array = malloc(count * sizeof *array + 1);
  for (size_t i = 0; i < count; ++i) {
    float f = scale * (2.0f * (float)rand() / (float)RAND_MAX - 1.0f);
#ifdef BF16
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    array[i] = (element)(bits >> 16);
#else
    array[i] = f;
#endif
  }
  return array;
}

static void check(int status, const char *what) {
  if (status != 0) {
    fprintf(stderr, "%s returned %d\n", what, status);
    exit(1);
  }
}

/* Memory aligned to 64 bytes. */
static void *aligned(int64_t bytes) {
  return aligned_alloc(64, ((size_t)bytes + 63) / 64 * 64);
}

static void *pack(int32_t weight, const element *logical) {
  void *packed = aligned(layer_packed_size(weight));
  check(layer_pack(weight, logical, packed), "layer_pack");
  return packed;
}

static double dot(const element *row, const element *x) {
  double sum = 0;
  for (int k = 0; k < HIDDEN; ++k)
    sum += value(row[k]) * value(x[k]);
  return sum;
}

/* One expert on one token, added to `out` with a weight. */
static void add_expert(const element *x, const element *gate_up, const element *down, double weight, double *out) {
  double middle[WIDTH];
  for (int f = 0; f < WIDTH; ++f) {
    double gate = dot(gate_up + (size_t)f * HIDDEN, x);
    double up = dot(gate_up + (size_t)(WIDTH + f) * HIDDEN, x);
    middle[f] = gate / (1 + exp(-gate)) * up;
  }
  for (int d = 0; d < HIDDEN; ++d)
    for (int f = 0; f < WIDTH; ++f)
      out[d] += weight * value(down[(size_t)d * WIDTH + f]) * middle[f];
}

/* One token: softmax over the experts, the best k, their weights made to sum
 * to 1. */
static void reference(const element *x, const element *gate, const element *gate_up, const element *down, double *out) {
  double score[EXPERTS], chosen_weight[TOP_K], most = -INFINITY, sum = 0, kept = 0;
  int chosen[TOP_K];
  for (int e = 0; e < EXPERTS; ++e) {
    score[e] = dot(gate + (size_t)e * HIDDEN, x);
    most = fmax(most, score[e]);
  }
  for (int e = 0; e < EXPERTS; ++e)
    sum += score[e] = exp(score[e] - most);
  for (int k = 0; k < TOP_K; ++k) {
    int best = 0;
    for (int e = 1; e < EXPERTS; ++e)
      if (score[e] > score[best])
        best = e;
    chosen[k] = best;
    chosen_weight[k] = score[best] / sum;
    kept += chosen_weight[k];
    score[best] = -1;
  }
  for (int d = 0; d < HIDDEN; ++d)
    out[d] = 0;
  for (int k = 0; k < TOP_K; ++k)
    add_expert(x, gate_up + (size_t)chosen[k] * 2 * WIDTH * HIDDEN, down + (size_t)chosen[k] * HIDDEN * WIDTH,
               chosen_weight[k] / kept, out);
}

int main(void) {
  element *gate = random_array((size_t)EXPERTS * HIDDEN, 0.5f);
  element *gate_up = random_array((size_t)EXPERTS * 2 * WIDTH * HIDDEN, 0.25f);
  element *down = random_array((size_t)EXPERTS * HIDDEN * WIDTH, 0.25f);
  void *packed_gate = pack(LAYER_GATE, gate);
  void *packed_gate_up = pack(LAYER_GATE_UP, gate_up);
  void *packed_down = pack(LAYER_DOWN, down);

  /* One arena serves calls of any number of tokens up to this one. */
  const int64_t most_tokens = 100, threads = 2;
  void *arena = aligned(layer_arena_size(most_tokens, threads));

  double worst = 0, squares = 0;
  int64_t numbers = 0;
  const int64_t calls[] = {0, 1, 3, 17, most_tokens};
  for (size_t call = 0; call < sizeof calls / sizeof *calls; ++call) {
    int64_t tokens = calls[call];
    element *x = random_array((size_t)tokens * HIDDEN, 1.0f);
    float *out = malloc((size_t)tokens * HIDDEN * sizeof *out + 1);
    check(layer(x, packed_gate, packed_gate_up, packed_down, out, tokens, arena, threads), "layer");
    for (int64_t t = 0; t < tokens; ++t) {
      double expected[HIDDEN];
      reference(x + t * HIDDEN, gate, gate_up, down, expected);
      for (int d = 0; d < HIDDEN; ++d, ++numbers) {
        worst = fmax(worst, fabs(out[t * HIDDEN + d] - expected[d]));
        squares += expected[d] * expected[d];
      }
    }
    free(x);
    free(out);
  }
  double scale = sqrt(squares / (double)numbers);
  printf("largest error %.1e, results around %.1e\n", worst, scale);

  /* What is wrong is said, not done. */
  int failed = !(worst <= TOLERANCE * scale);
  failed |= layer(NULL, packed_gate, packed_gate_up, packed_down, NULL, 1, arena, threads) != 3;
  failed |= layer(NULL, packed_gate, packed_gate_up, packed_down, NULL, -1, arena, threads) != 1;
  failed |= layer(NULL, packed_gate, packed_gate_up, packed_down, NULL, 0, NULL, 0) != 2;
  failed |= layer_packed_size(3) != -1 || layer_pack(-1, gate, packed_gate) != 5;
  failed |= layer_arena_size(-1, 1) != -1;
  if (failed)
    fprintf(stderr, "FAILED\n");

  free(gate), free(gate_up), free(down);
  free(packed_gate), free(packed_gate_up), free(packed_down);
  free(arena);
  return failed;
}
