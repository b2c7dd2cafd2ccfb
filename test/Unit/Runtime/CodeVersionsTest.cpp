//===- CodeVersionsTest.cpp - Which version of the code runs --------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "../../../lib/Runtime/CodeVersions.h"

#include <algorithm>
#include <gtest/gtest.h>

using namespace moe::runtime;

static CodeVersion version(std::string name, std::vector<std::string> needs) {
  CodeVersion version;
  version.target.cpu = std::move(name);
  version.target.features = std::move(needs);
  return version;
}

static const std::vector<CodeVersion> versions = {
    version("middle", {"a", "b"}), version("large", {"a", "b", "c"}),
    version("small", {"a"})};

/// A CPU that has everything but `lacked`.
static std::vector<std::string> lacked;
static std::vector<std::string> ask(const std::vector<std::string> &needed) {
  std::vector<std::string> missing;
  for (const std::string &name : needed)
    if (std::ranges::find(lacked, name) != lacked.end())
      missing.push_back(name);
  return missing;
}

static std::string choose(std::vector<std::string> lacks,
                          const std::string &asked = "") {
  lacked = std::move(lacks);
  Result<size_t> chosen = chooseVersion(versions, asked, ask);
  return chosen ? versions[*chosen].target.cpu : chosen.error().message;
}

TEST(CodeVersions, TheMostDemandingOneThatFits) {
  EXPECT_EQ(choose({}), "large");
  EXPECT_EQ(choose({"c"}), "middle");
  EXPECT_EQ(choose({"b"}), "small");
}

TEST(CodeVersions, OfEqualsTheLast) {
  lacked.clear();
  std::vector<CodeVersion> equal = {version("x", {"a"}), version("y", {"b"})};
  EXPECT_EQ(chooseVersion(equal, "", ask).value(), 1u);
}

TEST(CodeVersions, TheOneAskedFor) {
  EXPECT_EQ(choose({}, "small"), "small");
  EXPECT_EQ(choose({"c"}, "large")
                .find("this CPU lacks c, which the code for "
                      "large needs"),
            0u);
  EXPECT_EQ(choose({}, "huge"),
            "--isa huge: this executable has code for middle, large, small");
}

TEST(CodeVersions, NoneFits) {
  EXPECT_EQ(choose({"a", "b"})
                .find("this CPU lacks a, which the code for "
                      "small, the nearest version, needs"),
            0u);
}

TEST(CodeVersions, ThePayloadMustDescribeTheTable) {
  const MoeCodeVersion table[] = {
      {"middle", 0, nullptr}, {"large", 0, nullptr}, {"small", 0, nullptr}};
  EXPECT_TRUE(checkTable(versions, table));
  Result<void> fewer = checkTable(versions, std::span(table).first(2));
  ASSERT_FALSE(fewer);
  EXPECT_EQ(fewer.error().message,
            "the payload is for code for middle, large, small; this "
            "executable has code for middle, large");
}

TEST(CodeVersions, ThePayloadMustHaveTheCodesLayout) {
  const MoeCodeVersion table[] = {
      {"middle", 0, nullptr}, {"large", 0xab, nullptr}, {"small", 0, nullptr}};
  Result<void> other = checkTable(versions, table);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message,
            "the payload is of another model or of other options of moec: its "
            "layout is 0000000000000000, this executable's is "
            "00000000000000ab");
}
