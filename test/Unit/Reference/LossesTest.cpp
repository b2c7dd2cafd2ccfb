//===- LossesTest.cpp - Auxiliary losses ----------------------------------===//
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

const std::string kBalance = wrap(
    "%p: tensor<?x4xf32>, %i: tensor<?x2xi32>",
    "moe.load_balance_loss %p, %i {weight = 0.5 : f64} : (tensor<?x4xf32>, "
    "tensor<?x2xi32>) -> tensor<f32>",
    "tensor<f32>");

TEST(LoadBalanceLoss, IsKWhenBalanced) {
  Program program(kBalance);
  // Every expert is chosen once by two tokens and has probability 1/4.
  expectNear(program.runForTensor({rows({2, 4}, std::vector<double>(8, 0.25)),
                                   ids({2, 2}, {0, 1, 2, 3})}),
             {0.5 * 2});
}

TEST(LoadBalanceLoss, ByHand) {
  Program program(kBalance);
  // f = 1, 1, 0, 0 (both tokens choose 0 and 1); P = 0.6, 0.1, 0.2, 0.1.
  expectNear(
      program.runForTensor(
          {rows({2, 4}, {0.7, 0.1, 0.1, 0.1, 0.5, 0.1, 0.3, 0.1}),
           ids({2, 2}, {0, 1, 1, 0})}),
      {0.5 * 4 * 0.7});
}

TEST(LoadBalanceLoss, NoTokensGiveZero) {
  Program program(kBalance);
  expectNear(program.runForTensor({rows({0, 4}, {}), ids({0, 2}, {})}), {0});
}

TEST(LoadBalanceLoss, RefusesIdsOutside) {
  Program program(kBalance);
  EXPECT_TRUE(program.run({rows({1, 4}, {1, 0, 0, 0}), ids({1, 2}, {0, 4})})
                  .empty());
  EXPECT_NE(program.error.find("id 4"), std::string::npos);
}

TEST(ZLoss, MeanSquareOfLogSumExp) {
  Program program(
      wrap("%l: tensor<?x2xf32>",
           "moe.z_loss %l {weight = 2.0 : f64} : (tensor<?x2xf32>) -> "
           "tensor<f32>",
           "tensor<f32>"));
  // log 2 and 1000 + log 2, which overflows without the shift.
  double a = std::log(2.0), b = 1000 + std::log(2.0);
  expectNear(program.runForTensor({rows({2, 2}, {0, 0, 1000, 1000})}),
             {a * a + b * b});
  expectNear(program.runForTensor({rows({0, 2}, {})}), {0});
}

TEST(ImportanceLoss, SquaredCoefficientOfVariation) {
  Program program(wrap(
      "%w: tensor<?x2xf32>, %i: tensor<?x2xi32>",
      "moe.importance_loss %w, %i experts(4) {weight = 0.1 : f64} : "
      "(tensor<?x2xf32>, tensor<?x2xi32>) -> tensor<f32>",
      "tensor<f32>"));
  // Importances 1.5, 0.5, 0, 0: mean 0.5, variance 1.5 / 4.
  expectNear(program.runForTensor({rows({2, 2}, {0.75, 0.25, 0.75, 0.25}),
                                   ids({2, 2}, {0, 1, 0, 1})}),
             {0.1 * (1.5 / 4) / 0.25});
  expectNear(program.runForTensor({rows({0, 2}, {}), ids({0, 2}, {})}), {0});
}

} // namespace
