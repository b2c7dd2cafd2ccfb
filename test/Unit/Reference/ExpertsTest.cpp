//===- ExpertsTest.cpp - Grouped products, epilogues, combine -------------===//
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

/// A function with x [T,2], ids [T,2] of 2 experts and a weight [2,N,2].
std::string groupedText(int64_t n, int64_t columns, const std::string &extra,
                        const std::string &moreArguments,
                        const std::string &moreTypes,
                        const std::string &region = "") {
  std::string weight = "tensor<2x" + std::to_string(n) + "x2xf32>";
  std::string result = "tensor<?x" + std::to_string(columns) + "xf32>";
  return "func.func @main(%x: tensor<?x2xf32>, %i: tensor<?x2xi32>, %w: " +
         weight + moreArguments + ") -> " + result +
         " {\n  %p = moe.dispatch %i experts(2) : (tensor<?x2xi32>) -> "
         "!moe.plan<2, 2>\n  %r = moe.grouped_matmul gather %x, %w by %p " +
         extra + " : (tensor<?x2xf32>, " + weight + ", !moe.plan<2, 2>" +
         moreTypes + ") -> " + result + region + "\n  return %r : " + result +
         "\n}\n";
}

/// Two tokens (1,2) and (3,4), both to experts 1 then 0.
std::vector<RuntimeValue> twoTokens() {
  return {rows({2, 2}, {1, 2, 3, 4}), ids({2, 2}, {1, 0, 1, 0})};
}

std::vector<RuntimeValue> with(std::vector<RuntimeValue> values,
                               std::vector<RuntimeValue> more) {
  values.insert(values.end(), more.begin(), more.end());
  return values;
}

TEST(GroupedMatmul, GathersRowsOfTheirExpert) {
  Program program(groupedText(1, 1, "", "", ""));
  // Expert 0 sums the two columns, expert 1 takes the difference.
  expectNear(program.runForTensor(
                 with(twoTokens(), {rows({2, 1, 2}, {1, 1, -1, 1})})),
             {3, 7, 1, 1});
}

TEST(GroupedMatmul, BiasAndRowScale) {
  Program bias(
      groupedText(1, 1, "bias(%b)", ", %b: tensor<2x1xf32>",
                  ", tensor<2x1xf32>"));
  RuntimeValue weight = rows({2, 1, 2}, {1, 1, -1, 1});
  expectNear(bias.runForTensor(
                 with(twoTokens(), {weight, rows({2, 1}, {10, 20})})),
             {13, 17, 21, 21});
  Program scaled(groupedText(1, 1, "row_scale(%s)", ", %s: tensor<?x2xf32>",
                             ", tensor<?x2xf32>"));
  // Scales of (token, slot): expert 1 is slot 0.
  expectNear(scaled.runForTensor(
                 with(twoTokens(), {weight, rows({2, 2}, {2, 3, 4, 5})})),
             {9, 35, 2, 4});
}

TEST(GroupedMatmul, FunctionGatesTheHalves) {
  Program program(groupedText(2, 1, "epilogue <relu>", "", ""));
  // Gate: first column; up: second column.
  expectNear(program.runForTensor(
                 with(twoTokens(),
                      {rows({2, 2, 2}, {1, 0, 0, 1, -1, 0, 0, 1})})),
             {2, 12, 0, 0});
}

TEST(GroupedMatmul, EpilogueRegionsRunInF32) {
  Program single(groupedText(1, 1, "", "", "", R"( {
    ^bb0(%a: f32):
      %one = arith.constant 1.0 : f32
      %big = arith.constant 16777216.0 : f32
      %s = arith.addf %big, %one : f32
      %d = arith.subf %s, %big : f32
      %y = arith.addf %a, %d : f32
      moe.yield %y : f32
  })"));
  // 2^24 + 1 is no f32: the sum rounds to 2^24.
  RuntimeValue weight = rows({2, 1, 2}, {1, 1, -1, 1});
  expectNear(single.runForTensor(with(twoTokens(), {weight})), {3, 7, 1, 1});

  Program paired(groupedText(2, 1, "{paired}", "", "", R"( {
    ^bb0(%g: f32, %u: f32):
      %zero = arith.constant 0.0 : f32
      %c = arith.cmpf ogt, %g, %zero : f32
      %m = arith.mulf %g, %u : f32
      %n = arith.negf %u : f32
      %s = arith.select %c, %m, %n : f32
      %e = math.exp %zero : f32
      %y = arith.divf %s, %e : f32
      moe.yield %y : f32
  })"));
  expectNear(paired.runForTensor(
                 with(twoTokens(),
                      {rows({2, 2, 2}, {1, 0, 0, 1, -1, 0, 0, 1})})),
             {2, 12, -2, -4});
}

TEST(GroupedMatmul, NamesAnEpilogueOpThatItDoesNotKnow) {
  Program program(groupedText(1, 1, "", "", "", R"( {
    ^bb0(%a: f32):
      %y = math.sin %a : f32
      moe.yield %y : f32
  })"));
  EXPECT_TRUE(
      program.run(with(twoTokens(), {rows({2, 1, 2}, {1, 1, 1, 1})})).empty());
  EXPECT_NE(program.error.find("math.sin"), std::string::npos);
}

TEST(ExpertFFN, RoundsTheHiddenRowsToTheTypeOfX) {
  Program program(R"(
    func.func @main(%x: tensor<?x1xbf16>, %i: tensor<?x1xi32>, %u: tensor<1x2x1xbf16>, %d: tensor<1x1x1xbf16>) -> tensor<?x1xf32> {
      %p = moe.dispatch %i experts(1) : (tensor<?x1xi32>) -> !moe.plan<1, 1>
      %r = moe.expert_ffn %x, %u, %d by %p <relu> : (tensor<?x1xbf16>, tensor<1x2x1xbf16>, tensor<1x1x1xbf16>, !moe.plan<1, 1>) -> tensor<?x1xf32>
      return %r : tensor<?x1xf32>
    })");
  // Hidden: (1 + 2^-7)^2 = 1 + 2^-6 + 2^-14, of which bf16 keeps 1 + 2^-6;
  // f32 holds 3 times that.
  double a = 1 + 0x1p-7;
  Tensor result = program.runForTensor(
      {rows({1, 1}, {1}, Element::BF16), ids({1, 1}, {0}),
       rows({1, 2, 1}, {a, a}, Element::BF16),
       rows({1, 1, 1}, {3}, Element::BF16)});
  EXPECT_EQ(result[0], 3 * (1 + 0x1p-6));
}

TEST(Combine, SumsSlotsResidualAndBias) {
  Program program(R"(
    func.func @main(%y: tensor<?x2xf32>, %w: tensor<?x2xf32>, %i: tensor<?x2xi32>, %x: tensor<?x2xf32>, %b: tensor<2xf32>) -> tensor<?x2xf32> {
      %p = moe.dispatch %i experts(2) : (tensor<?x2xi32>) -> !moe.plan<2, 2>
      %r = moe.combine %y, %w by %p residual(%x) bias(%b) : (tensor<?x2xf32>, tensor<?x2xf32>, !moe.plan<2, 2>, tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
      return %r : tensor<?x2xf32>
    })");
  // One token to experts 1, 0: slot 0 is row 1.
  expectNear(program.runForTensor({rows({2, 2}, {1, 2, 3, 4}),
                                   rows({1, 2}, {10, 100}), ids({1, 2}, {1, 0}),
                                   rows({1, 2}, {0.5, 0.25}),
                                   rows({2}, {1000, 2000})}),
             {1130.5, 2240.25});
}

TEST(Combine, TurnedAwayChoicesGiveNothing) {
  Program program(R"(
    func.func @main(%y: tensor<?x1xf32>, %w: tensor<?x1xf32>, %i: tensor<?x1xi32>) -> tensor<?x1xf32> {
      %p = moe.dispatch %i experts(1) {capacity = 1 : i64, overflow = #moe.overflow<position>} : (tensor<?x1xi32>) -> !moe.plan<1, 1>
      %r = moe.combine %y, %w by %p : (tensor<?x1xf32>, tensor<?x1xf32>, !moe.plan<1, 1>) -> tensor<?x1xf32>
      return %r : tensor<?x1xf32>
    })");
  expectNear(program.runForTensor({rows({2, 1}, {5, NAN}), rows({2, 1}, {2, 3}),
                                   ids({2, 1}, {0, 0})}),
             {10, 0});
}

TEST(Combine, IdentityExpertsReturnTheirInput) {
  Program program(R"(
    func.func @main(%y: tensor<?x1xf32>, %w: tensor<?x2xf32>, %i: tensor<?x2xi32>, %x: tensor<?x1xf32>) -> tensor<?x1xf32> {
      %p = moe.dispatch %i experts(2) : (tensor<?x2xi32>) -> !moe.plan<2, 2>
      %r = moe.combine %y, %w by %p identity(%x, %i) {identity_from = 2 : i64} : (tensor<?x1xf32>, tensor<?x2xf32>, !moe.plan<2, 2>, tensor<?x1xf32>, tensor<?x2xi32>) -> tensor<?x1xf32>
      return %r : tensor<?x1xf32>
    })");
  // Expert 1 gives 5; ids 2 and 3 give the token itself.
  expectNear(program.runForTensor({rows({4, 1}, {5, 0, 0, 0}),
                                   rows({2, 2}, {2, 3, 4, 5}),
                                   ids({2, 2}, {1, 3, 2, 3}),
                                   rows({2, 1}, {10, 100})}),
             {2 * 5 + 3 * 10, 4 * 100 + 5 * 100});
}

} // namespace
