//===- LayerTest.cpp - moe.layer against the formula ----------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace moec;
using namespace moec::reference;
using namespace moec::test;

namespace {

constexpr int64_t D = 72, F = 20, E = 5, K = 3, S = 7;

double silu(double x) { return x / (1 + std::exp(-x)); }

double dot(const double *a, const double *b, int64_t n) {
  return std::inner_product(a, a + n, b, 0.0);
}

/// down * (silu(gate) * up) of one row; gate_up [2n,D], down [D,n].
std::vector<double> feedForward(const double *x, const double *gateUp,
                                const double *down, int64_t n) {
  std::vector<double> hidden, result;
  for (int64_t f = 0; f < n; ++f)
    hidden.push_back(silu(dot(x, gateUp + f * D, D)) *
                     dot(x, gateUp + (n + f) * D, D));
  for (int64_t d = 0; d < D; ++d)
    result.push_back(dot(hidden.data(), down + d * n, n));
  return result;
}

struct Weights {
  Tensor gate = makeRandomWeight(1, "gate", Element::F32, {E, D});
  Tensor gateUp = makeRandomWeight(1, "up", Element::F32, {E, 2 * F, D});
  Tensor down = makeRandomWeight(1, "down", Element::F32, {E, D, F});
  Tensor sharedUp = makeRandomWeight(1, "sup", Element::F32, {2 * S, D});
  Tensor sharedDown = makeRandomWeight(1, "sdown", Element::F32, {D, S});
  Tensor sharedGate = makeRandomWeight(1, "sgate", Element::F32, {1, D});
};

/// What Mixtral's router and Qwen2-MoE's shared expert make of one row.
std::vector<double> expectedRow(const double *x, const double *residual,
                                const Weights &w) {
  std::vector<std::pair<double, int64_t>> logits;
  for (int64_t e = 0; e < E; ++e)
    logits.push_back({dot(x, &w.gate.data[e * D], D), e});
  std::sort(logits.rbegin(), logits.rend());
  double sum = 0;
  for (int64_t s = 0; s < K; ++s)
    sum += std::exp(logits[s].first);
  std::vector<double> result(residual, residual + D);
  auto add = [&](double weight, const std::vector<double> &y) {
    for (int64_t d = 0; d < D; ++d)
      result[d] += weight * y[d];
  };
  for (int64_t s = 0; s < K; ++s) {
    int64_t e = logits[s].second;
    add(std::exp(logits[s].first) / sum,
        feedForward(x, &w.gateUp.data[e * 2 * F * D], &w.down.data[e * D * F],
                    F));
  }
  double scale = dot(x, w.sharedGate.data.data(), D);
  add(1 / (1 + std::exp(-scale)),
      feedForward(x, w.sharedUp.data.data(), w.sharedDown.data.data(), S));
  return result;
}

const char *const kLayer = R"(
  func.func @main(%x: tensor<?x72xf32>, %g: tensor<5x72xf32>, %u: tensor<5x40x72xf32>, %d: tensor<5x72x20xf32>,
                  %su: tensor<14x72xf32>, %sd: tensor<72x7xf32>, %sg: tensor<1x72xf32>, %r: tensor<?x72xf32>) -> tensor<?x72xf32> {
    %y = moe.layer %x router(%g) experts(%u, %d) shared(%su, %sd gate %sg) residual(%r)
        #moe.router<top_k = 3, renormalize = l1> <silu> {record = 2 : i64}
        : (tensor<?x72xf32>, tensor<5x72xf32>, tensor<5x40x72xf32>, tensor<5x72x20xf32>, tensor<14x72xf32>, tensor<72x7xf32>, tensor<1x72xf32>, tensor<?x72xf32>) -> tensor<?x72xf32>
    return %y : tensor<?x72xf32>
  })";

TEST(Layer, FollowsTheFormula) {
  Program program(kLayer);
  Weights w;
  for (int64_t tokens : {0, 1, 3, 17}) {
    Tensor x = makeRandomTensor(tokens + 1, Element::F32, {tokens, D});
    Tensor residual = makeRandomTensor(tokens + 50, Element::F32, {tokens, D});
    Tensor result = program.runForTensor(
        {makeValue(x), makeValue(w.gate), makeValue(w.gateUp),
         makeValue(w.down), makeValue(w.sharedUp), makeValue(w.sharedDown),
         makeValue(w.sharedGate), makeValue(residual)});
    ASSERT_EQ(result.shape, (std::vector<int64_t>{tokens, D}));
    for (int64_t t = 0; t < tokens; ++t) {
      std::vector<double> expected =
          expectedRow(&x.data[t * D], &residual.data[t * D], w);
      for (int64_t d = 0; d < D; ++d)
        EXPECT_NEAR(result.at(t, d), expected[d], 2e-6);
    }
    ASSERT_EQ(program.records.size(), 1u);
    EXPECT_EQ(program.records[0].index, 2);
    EXPECT_EQ(program.records[0].ids.shape,
              (std::vector<int64_t>{tokens, K}));
  }
}

} // namespace
