//===- DispatchTest.cpp - Plans, dropless and with a capacity -------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

using namespace moec;
using namespace moec::reference;
using namespace moec::test;

namespace {

using Rows = std::vector<int64_t>;

std::string dispatchText(const std::string &attributes, bool weights = false) {
  std::string operands =
      weights ? "(tensor<?x2xi32>, tensor<?x2xf32>)" : "(tensor<?x2xi32>)";
  return wrap(std::string("%i: tensor<?x2xi32>") +
                  (weights ? ", %w: tensor<?x2xf32>" : ""),
              std::string("moe.dispatch %i ") +
                  (weights ? "weights(%w) " : "") + "experts(3) " +
                  attributes + " : " + operands + " -> !moe.plan<3, 2>",
              "!moe.plan<3, 2>");
}

Plan dispatch(const std::string &attributes,
              std::vector<RuntimeValue> arguments) {
  Program program(dispatchText(attributes, arguments.size() == 2));
  auto results = program.run(std::move(arguments));
  if (results.empty()) {
    ADD_FAILURE() << program.error;
    return {};
  }
  return *std::get<std::shared_ptr<const Plan>>(results[0]);
}

/// Four tokens: (0,1) (0,1) (1,0) (0,2).
RuntimeValue fourTokens() { return ids({4, 2}, {0, 1, 0, 1, 1, 0, 0, 2}); }

TEST(Dispatch, GroupsByExpertInTokenOrder) {
  Plan plan = dispatch("", {fourTokens()});
  EXPECT_EQ(plan.offsets, (Rows{0, 4, 7, 8}));
  EXPECT_EQ(plan.choice, (Rows{0, 2, 5, 6, 1, 3, 4, 7}));
  EXPECT_EQ(plan.row, (Rows{0, 4, 1, 5, 6, 2, 3, 7}));
}

TEST(Dispatch, NoTokens) {
  Plan plan = dispatch("", {ids({0, 2}, {})});
  EXPECT_EQ(plan.offsets, (Rows{0, 0, 0, 0}));
  EXPECT_TRUE(plan.row.empty());
}

TEST(Dispatch, IdentityExpertsHaveNoRow) {
  Plan plan = dispatch("", {ids({1, 2}, {3, 1})});
  EXPECT_EQ(plan.row, (Rows{-1, 0}));
}

TEST(Dispatch, PositionTurnsTheLastAway) {
  Plan plan = dispatch("{capacity = 2 : i64, overflow = #moe.overflow"
                       "<position>}",
                       {fourTokens()});
  EXPECT_EQ(plan.row, (Rows{0, 2, 1, 3, -1, -1, -1, 4}));
}

TEST(Dispatch, SlotMajorServesFirstChoicesFirst) {
  Plan plan = dispatch("{capacity = 2 : i64, overflow = #moe.overflow"
                       "<slot_major>}",
                       {fourTokens()});
  // Expert 0: first choices of tokens 0 and 1; expert 1: the first choice of
  // token 2, then the second one of token 0.
  EXPECT_EQ(plan.row, (Rows{0, 2, 1, -1, 3, -1, -1, 4}));
}

TEST(Dispatch, ProbabilityTurnsTheSmallestAway) {
  RuntimeValue weights =
      rows({4, 2}, {0.1, 0.2, 0.9, 0.8, 0.7, 0.3, 0.4, 0.6});
  Plan plan = dispatch("{capacity = 2 : i64, overflow = #moe.overflow"
                       "<probability>}",
                       {fourTokens(), weights});
  // Expert 0 has weights 0.1, 0.9, 0.3, 0.4; expert 1 0.2, 0.8, 0.7.
  EXPECT_EQ(plan.row, (Rows{-1, -1, 0, 2, 3, -1, 1, 4}));
}

TEST(Dispatch, EqualProbabilitiesServeInTokenOrder) {
  RuntimeValue weights = rows({4, 2}, std::vector<double>(8, 0.5));
  Plan plan = dispatch("{capacity = 2 : i64, overflow = #moe.overflow"
                       "<probability>}",
                       {fourTokens(), weights});
  EXPECT_EQ(plan.row, (Rows{0, 2, 1, 3, -1, -1, -1, 4}));
}

TEST(Dispatch, CapacityFactorCountsChoices) {
  // ceil(0.5 * 4 * 2 / 3) = 2; then the minimum.
  std::string policy = "overflow = #moe.overflow<position>}";
  Plan two = dispatch("{capacity_factor = 0.5 : f64, " + policy,
                      {fourTokens()});
  EXPECT_EQ(two.offsets, (Rows{0, 2, 4, 5}));
  Plan three = dispatch("{capacity_factor = 0.5 : f64, min_capacity = 3 : i64,"
                        " " + policy,
                        {fourTokens()});
  EXPECT_EQ(three.offsets, (Rows{0, 3, 6, 7}));
}

TEST(Dispatch, RefusesNegativeIds) {
  Program program(dispatchText(""));
  EXPECT_TRUE(program.run({ids({1, 2}, {0, -1})}).empty());
  EXPECT_NE(program.error.find("negative id -1"), std::string::npos);
}

} // namespace
