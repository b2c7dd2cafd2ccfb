//===- RowsTest.cpp - Embedding, norms, products, elementwise -------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include <cmath>

using namespace moec;
using namespace moec::reference;
using namespace moec::test;

namespace {

TEST(Embedding, ScalesRowsOfTheTable) {
  Program program(wrap(
      "%t: tensor<?xi32>, %w: tensor<3x2xf32>",
      "lm.embedding %t, %w {scale = 2.0 : f64} : (tensor<?xi32>, "
      "tensor<3x2xf32>) -> tensor<?x2xf32>",
      "tensor<?x2xf32>"));
  RuntimeValue table = rows({3, 2}, {1, 2, 3, 4, 5, 6});
  expectNear(program.runForTensor({ids({2}, {2, 0}), table}), {10, 12, 2, 4});
  EXPECT_EQ(program.runForTensor({ids({0}, {}), table}).rows(), 0);
  EXPECT_TRUE(program.run({ids({1}, {3}), table}).empty());
  EXPECT_NE(program.error.find("token 3 lies outside the table's 3 rows"),
            std::string::npos);
}

TEST(Linear, AddsBiasAndClips) {
  Program program(wrap(
      "%x: tensor<?x2xf32>, %w: tensor<3x2xf32>, %b: tensor<3xf32>",
      "lm.linear %x, %w bias(%b) {clip = 4.0 : f64} : (tensor<?x2xf32>, "
      "tensor<3x2xf32>, tensor<3xf32>) -> tensor<?x3xf32>",
      "tensor<?x3xf32>"));
  expectNear(program.runForTensor({rows({1, 2}, {1, 2}),
                                   rows({3, 2}, {1, 1, 2, -3, 0, 5}),
                                   rows({3}, {0.5, -1, 0})}),
             {3.5, -4, 4});
}

TEST(Linear, RoundsOnceToTheResultsType) {
  std::string op = "lm.linear %x, %w : (tensor<?x2xf32>, tensor<1x2xf32>) -> "
                   "tensor<?x1xbf16>";
  Program program(wrap("%x: tensor<?x2xf32>, %w: tensor<1x2xf32>", op,
                       "tensor<?x1xbf16>"));
  // 1 + 2^-8 is a tie; the 2^-23 decides it.
  Tensor result = program.runForTensor(
      {rows({1, 2}, {1 + 0x1p-8, 0x1p-23}), rows({1, 2}, {1, 1})});
  EXPECT_EQ(result[0], 1 + 0x1p-7);
}

TEST(Linear, OddSizes) {
  Program program(wrap("%x: tensor<?x72xf32>, %w: tensor<5x72xf32>",
                       "lm.linear %x, %w : (tensor<?x72xf32>, "
                       "tensor<5x72xf32>) -> tensor<?x5xf32>",
                       "tensor<?x5xf32>"));
  RuntimeValue weight = random(1, {5, 72});
  for (int64_t tokens : {0, 1, 3, 17}) {
    RuntimeValue x = random(tokens + 2, {tokens, 72});
    Tensor result = program.runForTensor({x, weight});
    ASSERT_EQ(result.shape, (std::vector<int64_t>{tokens, 5}));
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t n = 0; n < 5; ++n) {
        long double sum = 0;
        for (int64_t k = 71; k >= 0; --k)
          sum += (long double)tensorOf(x).at(t, k) * tensorOf(weight).at(n, k);
        EXPECT_NEAR(result.at(t, n), double(sum), 1e-6);
      }
  }
}

TEST(RMSNorm, NormsGroupsOnTheirOwn) {
  Program program(wrap(
      "%x: tensor<?x4xf32>, %w: tensor<2xf32>",
      "lm.rms_norm %x, %w {eps = 0.0 : f64, groups = 2 : i64} : "
      "(tensor<?x4xf32>, tensor<2xf32>) -> tensor<?x4xf32>",
      "tensor<?x4xf32>"));
  // Root mean squares: 5 / sqrt 2 and 1.
  expectNear(program.runForTensor({rows({1, 4}, {3, 4, 1, -1}),
                                   rows({2}, {1, 10})}),
             {3 * std::sqrt(2) / 5, 40 * std::sqrt(2) / 5, 1, -10});
}

TEST(RMSNorm, AddsEpsToTheMeanAndClips) {
  Program program(wrap(
      "%x: tensor<?x2xf32>, %w: tensor<2xf32>",
      "lm.rms_norm %x, %w {eps = 3.0 : f64, clip = 0.75 : f64} : "
      "(tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>",
      "tensor<?x2xf32>"));
  expectNear(
      program.runForTensor({rows({1, 2}, {1, -1}), rows({2}, {1, 2})}),
      {0.5, -0.75});
}

TEST(LayerNorm, UsesThePopulationVariance) {
  Program program(wrap(
      "%x: tensor<?x4xf32>, %w: tensor<4xf32>, %b: tensor<4xf32>",
      "lm.layer_norm %x, %w bias(%b) {eps = 0.0 : f64} : (tensor<?x4xf32>, "
      "tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>",
      "tensor<?x4xf32>"));
  // Mean 3, variance 5.
  double s = std::sqrt(5.0);
  expectNear(program.runForTensor({rows({1, 4}, {0, 2, 4, 6}),
                                   rows({4}, {1, 1, 1, 2}),
                                   rows({4}, {0, 0, 1, 0})}),
             {-3 / s, -1 / s, 1 / s + 1, 6 / s});
}

TEST(Add, RefusesRowsThatDiffer) {
  Program program(wrap("%a: tensor<?x1xf32>, %b: tensor<?x1xf32>",
                       "lm.add %a, %b : (tensor<?x1xf32>, tensor<?x1xf32>) -> "
                       "tensor<?x1xf32>",
                       "tensor<?x1xf32>"));
  expectNear(program.runForTensor({rows({2, 1}, {1, 2}), rows({2, 1}, {3, 4})}),
             {4, 6});
  EXPECT_TRUE(
      program.run({rows({2, 1}, {1, 2}), rows({1, 1}, {3})}).empty());
  EXPECT_NE(program.error.find("lm.add"), std::string::npos);
}

/// Values at -2, 0, 1: silu and sigmoid by hand, gelu from tables of the
/// normal distribution, gelu_tanh from PyTorch.
TEST(Activate, KnownValues) {
  struct Case {
    const char *name;
    std::vector<double> expected;
  };
  for (const Case &test :
       {Case{"silu", {-0.2384058440442351, 0, 0.7310585786300049}},
        Case{"gelu", {-0.04550026389635842, 0, 0.8413447460685429}},
        Case{"gelu_tanh", {-0.04540230591222494, 0, 0.8411919906082768}},
        Case{"relu", {0, 0, 1}},
        Case{"sigmoid", {0.11920292202211755, 0.5, 0.7310585786300049}}}) {
    SCOPED_TRACE(test.name);
    Program program(wrap("%x: tensor<?x3xf32>",
                         std::string("lm.activate %x <") + test.name +
                             "> : (tensor<?x3xf32>) -> tensor<?x3xf32>",
                         "tensor<?x3xf32>"));
    expectNear(program.runForTensor({rows({1, 3}, {-2, 0, 1})}),
               test.expected, 1e-7);
  }
}

TEST(Gated, TakesTheGateFromTheFirstHalf) {
  Program program(
      wrap("%x: tensor<?x4xf32>",
           "lm.gated %x <relu> : (tensor<?x4xf32>) -> tensor<?x2xf32>",
           "tensor<?x2xf32>"));
  expectNear(program.runForTensor({rows({1, 4}, {2, -3, 5, 7})}), {10, 0});
}

TEST(GatedLinear, IsGatedOfLinear) {
  Program fused(wrap("%x: tensor<?x3xf32>, %w: tensor<10x3xf32>",
                     "lm.gated_linear %x, %w <silu> : (tensor<?x3xf32>, "
                     "tensor<10x3xf32>) -> tensor<?x5xf32>",
                     "tensor<?x5xf32>"));
  Program parted(R"(
    func.func @main(%x: tensor<?x3xf32>, %w: tensor<10x3xf32>) -> tensor<?x5xf32> {
      %p = lm.linear %x, %w : (tensor<?x3xf32>, tensor<10x3xf32>) -> tensor<?x10xf64>
      %r = lm.gated %p <silu> : (tensor<?x10xf64>) -> tensor<?x5xf32>
      return %r : tensor<?x5xf32>
    })");
  std::vector<RuntimeValue> arguments = {random(1, {4, 3}), random(2, {10, 3})};
  EXPECT_EQ(fused.runForTensor(arguments).data,
            parted.runForTensor(arguments).data);
}

TEST(ScaledAdd, AppliesTheFunctionToTheScale) {
  Program program(wrap(
      "%a: tensor<?x2xf32>, %y: tensor<?x2xf32>, %s: tensor<?x1xf32>",
      "lm.scaled_add %a, %y, %s <sigmoid> : (tensor<?x2xf32>, "
      "tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>",
      "tensor<?x2xf32>"));
  expectNear(program.runForTensor({rows({1, 2}, {1, 2}), rows({1, 2}, {4, 8}),
                                   rows({1, 1}, {0})}),
             {3, 6});
}

TEST(LastRows, TakesTheEnd) {
  Program program(wrap(
      "%x: tensor<?x2xf32>, %n: index",
      "lm.last_rows %x, %n : (tensor<?x2xf32>, index) -> tensor<?x2xf32>",
      "tensor<?x2xf32>"));
  RuntimeValue x = rows({3, 2}, {1, 2, 3, 4, 5, 6});
  expectNear(program.runForTensor({x, int64_t(1)}), {5, 6});
  EXPECT_EQ(program.runForTensor({x, int64_t(0)}).rows(), 0);
  EXPECT_TRUE(program.run({x, int64_t(4)}).empty());
}

} // namespace
