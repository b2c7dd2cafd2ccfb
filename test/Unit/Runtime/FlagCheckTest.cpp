//===- FlagCheckTest.cpp - Unknown flags and what they meant --------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "lib/Runtime/Commands/FlagCheck.h"

#include <gtest/gtest.h>

namespace moe::runtime {
namespace {

std::string check(std::vector<std::string> arguments) {
  static const FlagNames flags[] = {
      {{"-n", "--n-predict"}, true},
      {{"-t", "--threads"}, true},
      {{"-p", "--prompt"}, true},
      {{"--temp"}, true},
      {{"--top-k"}, true},
      {{"--ignore-eos"}, false},
  };
  Result<void> checked = checkFlags(arguments, flags);
  return checked ? "" : checked.error().message;
}

TEST(FlagCheck, AcceptsKnownFlags) {
  EXPECT_EQ(check({"-n", "3", "--temp=0.5", "--ignore-eos", "-t4", "-n-1"}),
            "");
  EXPECT_EQ(check({"-p", "-", "-p", "--temp", "-p", "-x y"}), "");
}

TEST(FlagCheck, SuggestsTheNearest) {
  EXPECT_EQ(check({"--n-predic", "3"}),
            "unknown flag '--n-predic'; did you mean '--n-predict'?");
  EXPECT_EQ(check({"--temperature=1"}),
            "unknown flag '--temperature'; did you mean '--temp'?");
  EXPECT_EQ(check({"--topk", "1"}),
            "unknown flag '--topk'; did you mean '--top-k'?");
  EXPECT_EQ(check({"--flash-attention-please"}),
            "unknown flag '--flash-attention-please'; --help lists them");
}

TEST(FlagCheck, TakesNoGroupsOfShortFlags) {
  EXPECT_NE(check({"-ngl", "3"}).find("unknown flag '-ngl'"),
            std::string::npos);
}

TEST(FlagCheck, NamesStrayWordsAndMissingValues) {
  EXPECT_EQ(check({"hello"}), "unexpected argument 'hello'");
  EXPECT_EQ(check({"-n"}), "'-n' needs a value");
}

} // namespace
} // namespace moe::runtime
