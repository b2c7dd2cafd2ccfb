//===- RouterTest.cpp - The family of published routers -------------------===//
//
// Part of moe-mlir. Expected numbers are computed here, from what the systems'
// papers and sources say, not by the interpreter's own functions.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include <cmath>

using namespace moec;
using namespace moec::reference;
using namespace moec::test;

namespace {

using Numbers = std::vector<double>;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Routed {
  Numbers weights, ids;
};

/// Routes one token, or as many as `logits` has rows of `experts`.
Routed route(const std::string &config, int64_t experts, int64_t topK,
             const Numbers &logits, const Numbers &bias = {}) {
  std::string e = std::to_string(experts), k = std::to_string(topK);
  std::string vector = bias.empty() ? "" : "tensor<" + e + "xf32>";
  Program program(
      "func.func @main(%l: tensor<?x" + e + "xf32>" +
      (bias.empty() ? "" : ", %b: " + vector) + ") -> (tensor<?x" + k +
      "xf32>, tensor<?x" + k + "xi32>) {\n  %w, %i = moe.router %l" +
      (bias.empty() ? "" : " bias(%b)") + " <top_k = " + k +
      (config.empty() ? "" : ", " + config) + "> : (tensor<?x" + e + "xf32>" +
      (bias.empty() ? "" : ", " + vector) + ") -> (tensor<?x" + k +
      "xf32>, tensor<?x" + k + "xi32>)\n  return %w, %i : tensor<?x" + k +
      "xf32>, tensor<?x" + k + "xi32>\n}\n");
  std::vector<RuntimeValue> arguments = {
      rows({int64_t(logits.size()) / experts, experts}, logits)};
  if (!bias.empty())
    arguments.push_back(rows({experts}, bias));
  auto results = program.run(std::move(arguments));
  if (results.size() != 2) {
    ADD_FAILURE() << program.error;
    return {};
  }
  return {tensorOf(results[0]).data, tensorOf(results[1]).data};
}

void expectRouted(const Routed &routed, const Numbers &ids,
                  const Numbers &weights) {
  EXPECT_EQ(routed.ids, ids);
  ASSERT_EQ(routed.weights.size(), weights.size());
  for (size_t i = 0; i < weights.size(); ++i)
    EXPECT_NEAR(routed.weights[i], weights[i], 1e-6) << "slot " << i;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// exp(x_i) over the sum of all.
double share(const Numbers &logits, int i) {
  double sum = 0;
  for (double logit : logits)
    sum += std::exp(logit);
  return std::exp(logits[i]) / sum;
}

//===----------------------------------------------------------------------===//
// Published systems
//===----------------------------------------------------------------------===//

const Numbers kLogits = {0.3, -1.2, 2.0, 0.7, 1.9, -0.4, 0.0, 1.1};

TEST(Router, MixtralIsASoftmaxOverTheTopTwoLogits) {
  double a = std::exp(2.0), b = std::exp(1.9);
  expectRouted(route("renormalize = l1", 8, 2, kLogits), {2, 4},
               {a / (a + b), b / (a + b)});
}

TEST(Router, OLMoEDoesNotRenormalize) {
  expectRouted(route("", 8, 3, kLogits), {2, 4, 7},
               {share(kLogits, 2), share(kLogits, 4), share(kLogits, 7)});
}

TEST(Router, SwitchTakesTheLargestProbability) {
  expectRouted(route("", 8, 1, kLogits), {2}, {share(kLogits, 2)});
}

TEST(Router, GptOssTakesASoftmaxOverTheChosen) {
  Numbers chosen = {2.0, 1.9, 1.1, 0.7};
  expectRouted(route("score = identity, select = logit, renormalize = softmax",
                     8, 4, kLogits),
               {2, 4, 7, 3},
               {share(chosen, 0), share(chosen, 1), share(chosen, 2),
                share(chosen, 3)});
}

TEST(Router, Llama4TakesASigmoid) {
  expectRouted(route("score = sigmoid, select = logit", 8, 1, kLogits), {2},
               {sigmoid(2.0)});
}

TEST(Router, DeepSeekV3ChoosesByBiasAndWeighsWithout) {
  // Four groups of two, two stay. Sums of biased scores: group 0
  // s0 + s1, group 1 s2 + s3, group 2 s4 + s5 + 2, group 3 s6 + s7.
  Numbers bias = {0, 0, 0, 0, 0, 2, 0, 0};
  Routed routed =
      route("score = sigmoid, select = biased_score, groups = 4, top_groups = "
            "2, group_score = top2_sum, renormalize = l1, eps = 1.0e-20 : f64,"
            " scale = 2.5 : f64",
            8, 3, kLogits, bias);
  // Groups 2 and 1 win; biased keys: 5 (0.40 + 2), 2 (0.88), 4 (0.87).
  double s5 = sigmoid(-0.4), s2 = sigmoid(2.0), s4 = sigmoid(1.9);
  double factor = 2.5 / (s5 + s2 + s4);
  expectRouted(routed, {5, 2, 4}, {s5 * factor, s2 * factor, s4 * factor});
}

TEST(Router, DeepSeekV2RanksGroupsByTheirMaximum) {
  Routed routed = route("groups = 4, top_groups = 2, group_score = max, "
                        "masked = zero, scale = 16.0 : f64",
                        8, 3, kLogits);
  // Groups 1 (expert 2) and 2 (expert 4) win; then comes expert 3.
  expectRouted(routed, {2, 4, 3},
               {16 * share(kLogits, 2), 16 * share(kLogits, 4),
                16 * share(kLogits, 3)});
}

TEST(Router, ErnieClampsTheSum) {
  double a = share(kLogits, 2), b = share(kLogits, 4);
  expectRouted(
      route("renormalize = clamped_sum, eps = 0.9 : f64", 8, 2, kLogits),
      {2, 4}, {a / 0.9, b / 0.9});
  expectRouted(
      route("renormalize = clamped_sum, eps = 0.1 : f64", 8, 2, kLogits),
      {2, 4}, {a / (a + b), b / (a + b)});
}

TEST(Router, DbrxDividesByAPNorm) {
  double a = share(kLogits, 2), b = share(kLogits, 4);
  double two = std::sqrt(a * a + b * b);
  double three = std::cbrt(a * a * a + b * b * b);
  expectRouted(route("renormalize = lp, p = 1.0 : f64", 8, 2, kLogits), {2, 4},
               {a / (a + b), b / (a + b)});
  expectRouted(route("renormalize = lp, p = 2.0 : f64", 8, 2, kLogits), {2, 4},
               {a / two, b / two});
  expectRouted(route("renormalize = lp, p = 3.0 : f64", 8, 2, kLogits), {2, 4},
               {a / three, b / three});
}

TEST(Router, DeepSeekV4TakesTheRootOfSoftplus) {
  auto score = [](double x) { return std::sqrt(std::log1p(std::exp(x))); };
  expectRouted(route("score = sqrt_softplus", 8, 2, kLogits), {2, 4},
               {score(2.0), score(1.9)});
  expectRouted(route("score = sqrt_softplus", 2, 1, {1000, -1000}), {0},
               {std::sqrt(1000.0)});
}

TEST(Router, SparseMixerLeavesOutWhatIsFar) {
  // eps 0.05: within 10 % of the largest logit count 2.0 and 1.9; in the
  // second pass, from 1.9 down, 1.9 alone is left (1.1 is far).
  Routed routed = route("score = sparse_mixer, eps = 0.05 : f64", 8, 2,
                        kLogits);
  double a = std::exp(2.0), b = std::exp(1.9);
  expectRouted(routed, {2, 4}, {a / (a + b), 1});
}

TEST(Router, SparseMixerComparesToTheLargerMagnitude) {
  // Negative logits: (max - x) / max(|x|, max) = (-1 + 1.01) / 1.01 is near.
  Numbers logits = {-1, -1.01, -3};
  double a = std::exp(-1), b = std::exp(-1.01);
  expectRouted(route("score = sparse_mixer, eps = 0.01 : f64", 3, 2, logits),
               {0, 1}, {a / (a + b), 1});
}

//===----------------------------------------------------------------------===//
// Order of keys
//===----------------------------------------------------------------------===//

TEST(Router, TiesGoToTheLowerId) {
  EXPECT_EQ(route("", 5, 3, {1, 1, 1, 1, 1}).ids, (Numbers{0, 1, 2}));
  EXPECT_EQ(route("", 5, 3, {0, 2, 1, 2, 2}).ids, (Numbers{1, 3, 4}));
}

TEST(Router, NegativeZeroIsZero) {
  EXPECT_EQ(route("score = identity", 3, 2, {-0.0, 0.0, -1}).ids,
            (Numbers{0, 1}));
  EXPECT_EQ(route("score = identity", 3, 2, {0.0, -0.0, -1}).ids,
            (Numbers{0, 1}));
}

TEST(Router, NaNIsBelowMinusInfinity) {
  Routed routed =
      route("score = identity", 4, 4, {nan, -infinity, 1, nan});
  EXPECT_EQ(routed.ids, (Numbers{2, 1, 0, 3}));
  EXPECT_EQ(routed.weights[1], -infinity);
  EXPECT_TRUE(std::isnan(routed.weights[2]));
}

TEST(Router, NaNGroupsLose) {
  Routed routed = route("score = identity, groups = 2, top_groups = 1", 4, 2,
                        {nan, nan, -5, -6});
  expectRouted(routed, {2, 3}, {-5, -6});
}

TEST(Router, TooFewEligibleTakeTheLowestUnusedIds) {
  // The second group of two wins; four slots.
  expectRouted(route("score = identity, groups = 3, top_groups = 1", 6, 4,
                     {1, 2, 9, 8, 3, 4}),
               {2, 3, 0, 1}, {9, 8, 0, 0});
}

TEST(Router, FilledSlotsTakeNoPartInRenormalizing) {
  double a = std::exp(9.0), b = std::exp(8.0);
  for (const char *how : {"renormalize = softmax", "renormalize = l1"})
    expectRouted(route(std::string("groups = 3, top_groups = 1, ") + how, 6, 3,
                       {1, 2, 9, 8, 3, 4}),
                 {2, 3, 0}, {a / (a + b), b / (a + b), 0});
}

TEST(Router, ANaNKeyIsEligibleAndAMaskedOneIsNot) {
  // Expert 1 is in the winning group, though its key is the lowest of all.
  EXPECT_EQ(route("score = identity, groups = 2, top_groups = 1", 4, 3,
                  {7, nan, 3, 4})
                .ids,
            (Numbers{0, 1, 2}));
}

TEST(Router, MaskedZeroBeatsNegativeKeys) {
  // As in transformers 4.57: losers have the key 0, winners negative ones.
  std::string config = "score = identity, groups = 2, top_groups = 1, masked = ";
  Numbers logits = {-1, -2, -5, -6};
  expectRouted(route(config + "zero", 4, 2, logits), {2, 3}, {-5, -6});
  expectRouted(route(config + "neg_inf", 4, 2, logits), {0, 1}, {-1, -2});
}

TEST(Router, GroupTiesGoToTheLowerGroup) {
  EXPECT_EQ(route("groups = 2, top_groups = 1", 4, 2, {1, 0, 0, 1}).ids,
            (Numbers{0, 1}));
}

//===----------------------------------------------------------------------===//
// Sizes and static ids
//===----------------------------------------------------------------------===//

TEST(Router, AnyNumberOfTokens) {
  for (int64_t tokens : {0, 1, 3, 17}) {
    Tensor logits = makeRandomTensor(tokens + 1, Element::F32, {tokens, 5});
    Routed routed = route("renormalize = l1", 5, 3, logits.data);
    ASSERT_EQ(routed.ids.size(), size_t(3 * tokens));
    for (int64_t t = 0; t < tokens; ++t) {
      double sum = 0;
      for (int64_t s = 0; s < 3; ++s)
        sum += routed.weights[3 * t + s];
      EXPECT_NEAR(sum, 1, 1e-6);
      for (int64_t s = 1; s < 3; ++s)
        EXPECT_GE(logits.at(t, routed.ids[3 * t + s - 1]),
                  logits.at(t, routed.ids[3 * t + s]));
    }
  }
}

TEST(Router, StaticIdsTakeWeightsFromTheScores) {
  Program program(R"(
    func.func @main(%l: tensor<?x3xf32>, %s: tensor<?x2xi32>) -> (tensor<?x2xf32>, tensor<?x2xi32>) {
      %w, %i = moe.router %l static_ids(%s) <score = identity, top_k = 2>
          : (tensor<?x3xf32>, tensor<?x2xi32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
      return %w, %i : tensor<?x2xf32>, tensor<?x2xi32>
    })");
  auto results = program.run({rows({1, 3}, {5, 6, 7}), ids({1, 2}, {0, 2})});
  ASSERT_EQ(results.size(), 2u) << program.error;
  expectNear(tensorOf(results[0]), {5, 7});
  expectNear(tensorOf(results[1]), {0, 2});
  EXPECT_TRUE(
      program.run({rows({1, 3}, {5, 6, 7}), ids({1, 2}, {0, 3})}).empty());
  EXPECT_NE(program.error.find("static id 3"), std::string::npos);
}

TEST(Route, IsLinearRouterAndDispatch) {
  Program fused(R"(
    func.func @main(%x: tensor<?x72xf32>, %g: tensor<5x72xf32>) -> (tensor<?x3xf32>, tensor<?x3xi32>, !moe.plan<5, 3>) {
      %w, %i, %p = moe.route %x, %g <top_k = 3, renormalize = l1> experts(5)
          : (tensor<?x72xf32>, tensor<5x72xf32>) -> (tensor<?x3xf32>, tensor<?x3xi32>, !moe.plan<5, 3>)
      return %w, %i, %p : tensor<?x3xf32>, tensor<?x3xi32>, !moe.plan<5, 3>
    })");
  Program parted(R"(
    func.func @main(%x: tensor<?x72xf32>, %g: tensor<5x72xf32>) -> (tensor<?x3xf32>, tensor<?x3xi32>, !moe.plan<5, 3>) {
      %l = lm.linear %x, %g : (tensor<?x72xf32>, tensor<5x72xf32>) -> tensor<?x5xf32>
      %w, %i = moe.router %l <top_k = 3, renormalize = l1> : (tensor<?x5xf32>) -> (tensor<?x3xf32>, tensor<?x3xi32>)
      %p = moe.dispatch %i experts(5) : (tensor<?x3xi32>) -> !moe.plan<5, 3>
      return %w, %i, %p : tensor<?x3xf32>, tensor<?x3xi32>, !moe.plan<5, 3>
    })");
  for (int64_t tokens : {0, 1, 17}) {
    std::vector<RuntimeValue> arguments = {random(1, {tokens, 72}),
                                           random(2, {5, 72})};
    auto a = fused.run(arguments), b = parted.run(arguments);
    ASSERT_EQ(a.size(), 3u) << fused.error;
    ASSERT_EQ(b.size(), 3u) << parted.error;
    EXPECT_EQ(tensorOf(a[0]).data, tensorOf(b[0]).data);
    EXPECT_EQ(tensorOf(a[1]).data, tensorOf(b[1]).data);
    EXPECT_EQ(std::get<std::shared_ptr<const Plan>>(a[2])->row,
              std::get<std::shared_ptr<const Plan>>(b[2])->row);
  }
}

} // namespace
