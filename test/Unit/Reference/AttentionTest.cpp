//===- AttentionTest.cpp - Attention over a KV cache ----------------------===//
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

/// Four heads of 2 on two kv heads.
std::string attentionText(const std::string &attributes,
                          const std::string &cache = "f32",
                          bool sinks = false) {
  std::string state = "!lm.state<2x2x" + cache + ">";
  return wrap("%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %v: tensor<?x4xf32>, "
              "%s: " + state + ", %p: index" +
                  (sinks ? ", %z: tensor<4xf32>" : ""),
              "lm.attention %q append(%k, %v) state(%s) at %p " +
                  std::string(sinks ? "sinks(%z) " : "") +
                  "{heads = 4 : i64, scale = 0.5 : f64" + attributes +
                  "} : (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>, " +
                  state + ", index" + (sinks ? ", tensor<4xf32>" : "") +
                  ") -> tensor<?x8xf32>",
              "tensor<?x8xf32>");
}

RuntimeValue makeCache(Element element = Element::F32) {
  return std::make_shared<Cache>(element, 2, 2);
}

/// Rows first .. last - 1 of a tensor.
RuntimeValue slice(const Tensor &tensor, int64_t first, int64_t last) {
  int64_t columns = tensor.columns();
  return rows({last - first, columns},
              {tensor.data.begin() + first * columns,
               tensor.data.begin() + last * columns});
}

/// Straight from the formula, for the row at position p.
double expectedAt(const Tensor &q, const Tensor &k, const Tensor &v, int64_t p,
                  int64_t head, int64_t c, int64_t window,
                  std::optional<double> sink) {
  int64_t kv = head / 2;
  double numerator = 0, denominator = sink ? std::exp(*sink) : 0;
  for (int64_t j = 0; j <= p; ++j) {
    if (window && j <= p - window)
      continue;
    double dot = 0;
    for (int64_t d = 0; d < 2; ++d)
      dot += q.at(p, head * 2 + d) * k.at(j, kv * 2 + d);
    double weight = std::exp(0.5 * dot);
    numerator += weight * v.at(j, kv * 2 + c);
    denominator += weight;
  }
  return numerator / denominator;
}

class AttentionWindows : public testing::TestWithParam<int64_t> {};

TEST_P(AttentionWindows, FollowTheFormulaInEveryChunking) {
  int64_t window = GetParam();
  Program program(
      attentionText(", window = " + std::to_string(window) + " : i64"));
  Tensor q = makeRandomTensor(1, Element::F32, {20, 8});
  Tensor k = makeRandomTensor(2, Element::F32, {20, 4});
  Tensor v = makeRandomTensor(3, Element::F32, {20, 4});
  for (std::vector<int64_t> chunks :
       {std::vector<int64_t>{20}, {1, 3, 0, 16}, {17, 3}}) {
    RuntimeValue cache = makeCache();
    int64_t position = 0;
    for (int64_t chunk : chunks) {
      int64_t end = position + chunk;
      Tensor result = program.runForTensor({slice(q, position, end),
                                            slice(k, position, end),
                                            slice(v, position, end), cache,
                                            position});
      for (int64_t t = 0; t < chunk; ++t)
        for (int64_t i = 0; i < 8; ++i)
          EXPECT_NEAR(result.at(t, i),
                      expectedAt(q, k, v, position + t, i / 2, i % 2, window,
                                 std::nullopt),
                      1e-6);
      position = end;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, AttentionWindows, testing::Values(0, 1, 3, 64));

TEST(Attention, SinksTakeAShareOfTheSum) {
  Program program(attentionText("", "f32", /*sinks=*/true));
  Tensor q = makeRandomTensor(1, Element::F32, {3, 8});
  Tensor k = makeRandomTensor(2, Element::F32, {3, 4});
  Tensor v = makeRandomTensor(3, Element::F32, {3, 4});
  Tensor sinks(Element::F32, {4}, {0.5, -1, 2, 0});
  Tensor result =
      program.runForTensor({makeValue(q), makeValue(k), makeValue(v),
                            makeCache(), int64_t(0), makeValue(sinks)});
  for (int64_t t = 0; t < 3; ++t)
    for (int64_t i = 0; i < 8; ++i)
      EXPECT_NEAR(result.at(t, i),
                  expectedAt(q, k, v, t, i / 2, i % 2, 0, sinks[i / 2]), 1e-6);
}

TEST(Attention, ReadsKeysAndValuesAsTheCacheHoldsThem) {
  Program program(attentionText("", "bf16"));
  RuntimeValue cache = makeCache(Element::BF16);
  double value = 1 + 0x1p-10; // not a bf16
  Tensor result = program.runForTensor(
      {random(1, {1, 8}), random(2, {1, 4}),
       rows({1, 4}, {value, value, value, value}), cache, int64_t(0)});
  for (double element : result.data)
    EXPECT_EQ(element, 1.0);
}

/// What values read back as from a q8_0 cache, for the first head of each KV
/// head.
std::vector<double> throughQ8(std::vector<double> v) {
  Program program(attentionText("", "i8"));
  auto cache = std::make_shared<Cache>(Element::F32, 2, 2);
  cache->keys.isQuantised = cache->values.isQuantised = true;
  Tensor result = program.runForTensor(
      {random(1, {1, 8}), random(2, {1, 4}), rows({1, 4}, std::move(v)), cache,
       int64_t(0)});
  return {result[0], result[1], result[4], result[5]};
}

TEST(Attention, Q8CachesScaleEachHeadOfEachPosition) {
  // Scales 1 and 2: ties go to even integers.
  EXPECT_EQ(throughQ8({127, 2.5, -254, 7}),
            (std::vector<double>{127, 2, -254, 8}));
  EXPECT_EQ(throughQ8({0, 0, -127, 0.5}),
            (std::vector<double>{0, 0, -127, 0}));
  std::vector<double> bad =
      throughQ8({std::numeric_limits<double>::infinity(), 1, 127, 1});
  EXPECT_TRUE(std::isnan(bad[0]) && std::isnan(bad[1]));
  EXPECT_EQ(bad[2], 127);
}

TEST(Append, StoresWithoutReading) {
  Program program(R"(
    func.func @main(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %s: !lm.state<2x2xf32>, %p: index) -> tensor<?x4xf32> {
      lm.append %k, %k state(%s) at %p : tensor<?x4xf32>, tensor<?x4xf32>, !lm.state<2x2xf32>
      %r = lm.attention %q state(%s) at %p {heads = 2 : i64, scale = 1.0 : f64} : (tensor<?x4xf32>, !lm.state<2x2xf32>, index) -> tensor<?x4xf32>
      return %r : tensor<?x4xf32>
    })");
  RuntimeValue cache = makeCache();
  expectNear(program.runForTensor({rows({1, 4}, {0, 0, 0, 0}),
                                   rows({1, 4}, {1, 2, 3, 4}), cache,
                                   int64_t(0)}),
             {1, 2, 3, 4});
  // A query of zeros averages.
  expectNear(program.runForTensor({rows({1, 4}, {0, 0, 0, 0}),
                                   rows({1, 4}, {3, 4, 5, 6}), cache,
                                   int64_t(1)}),
             {2, 3, 4, 5});
}

} // namespace
