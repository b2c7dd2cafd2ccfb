//===- StepPartsTest.cpp - Costs of parts, and their times ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "ToyPayload.h"
#include "moe/Runtime/Session.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

namespace moe::runtime {
namespace {

TEST(StepParts, AttentionCountsWhatEachTokenSees) {
  StepPart part;
  part.positionFlops = 3;
  part.cacheBytes = {5, 2};
  for (int64_t window : {0, 1, 4, 9, 100})
    for (int64_t position : {0, 1, 3, 8, 50})
      for (int64_t tokens : {1, 2, 7, 40}) {
        part.window = window;
        int64_t seen = 0, first = position;
        for (int64_t p = position; p < position + tokens; ++p) {
          int64_t from = window ? std::max<int64_t>(p + 1 - window, 0) : 0;
          seen += p + 1 - from;
          first = std::min(first, from);
        }
        CallShape call{tokens, position, 1, 0, 1};
        PartWork work = workOf(part, call, 0);
        EXPECT_EQ(work.flops, 3.0 * seen);
        EXPECT_EQ(work.bytes, 7.0 * (position + tokens - first));
      }
}

TEST(StepParts, WeightsAreReadOnceAndRowsEach) {
  StepPart part;
  part.bytes = 100;
  part.rowBytes = 3;
  part.expertBytes = 10;
  part.rowFlops = 7;
  CallShape call{6, 0, 2, 0, 0};
  EXPECT_EQ(workOf(part, call, 4).bytes, 100 + 18 + 40);
  EXPECT_EQ(workOf(part, call, 4).flops, 42);
  part.lastRows = true;
  EXPECT_EQ(workOf(part, call, 4).flops, 14);
  call.rows = 0; // nobody asks for logits: nothing is read
  EXPECT_EQ(workOf(part, call, 4).bytes, 0);
}

TEST(StepParts, ExpectedExperts) {
  EXPECT_DOUBLE_EQ(expectedExperts(1, 8, 64), 8);
  EXPECT_DOUBLE_EQ(expectedExperts(2, 8, 64), 8 + 8 * 56.0 / 64);
  EXPECT_NEAR(expectedExperts(512, 8, 64), 64, 1e-9);
  EXPECT_EQ(expectedExperts(5, 1, 0), 0);
}

TEST(StepParts, FloorIsTheHigherOfTwo) {
  Ceilings ceilings{10, {{"r", 100}}};
  EXPECT_DOUBLE_EQ(ceilings.floorOf({50, 100}, "r"), 5);
  EXPECT_DOUBLE_EQ(ceilings.floorOf({50, 1000}, "r"), 10);
  EXPECT_DOUBLE_EQ(ceilings.floorOf({50, 1000}, "other"), 5);
  EXPECT_EQ(Ceilings().floorOf({50, 1000}, "r"), 0);
}

class ProfileTest : public testing::Test {
protected:
  void SetUp() override {
    Result<Payload> parsed = parsePayload(std::as_bytes(std::span(bytes)));
    ASSERT_TRUE(parsed) << parsed.error().message;
    payload = *parsed;
    Result<Session> made =
        Session::create(payload, moe_code_versions[0].step, {});
    ASSERT_TRUE(made);
    session = std::make_unique<Session>(std::move(*made));
  }

  std::string bytes = test::toyPayload();
  Payload payload;
  std::unique_ptr<Session> session;
  std::vector<int32_t> tokens = std::vector<int32_t>(60, 5);
};

TEST_F(ProfileTest, TimesAddUpAndLogitsStay) {
  std::vector<float> plain, watched;
  ASSERT_TRUE(session->feed(tokens, Phase::Prefill, &plain));
  session->reset();
  StepProfile profile(payload.model, payload.versions[0], Ceilings{1e9, {}});
  session->profileTo(&profile);
  ASSERT_TRUE(session->feed(tokens, Phase::Prefill, &watched));
  session->profileTo(nullptr);
  EXPECT_EQ(plain, watched);
  EXPECT_EQ(profile.calls(), 2); // 48 tokens and 12
  ASSERT_EQ(profile.entries().size(), 10u);
  EXPECT_EQ(profile.entries()[0].layer, -1);
  EXPECT_EQ(profile.entries()[2].layer, 0);
  double sum = profile.leaving(), bytes = 0;
  for (const StepProfile::Entry &entry : profile.entries()) {
    sum += entry.times.seconds;
    bytes += entry.times.bytes;
  }
  EXPECT_NEAR(sum, profile.seconds(), 1e-12);
  EXPECT_GT(bytes, 60 * 16 + 4800);
  // Afterwards nobody listens.
  ASSERT_TRUE(session->feed({tokens.data(), 1}, Phase::Decode, &plain));
  EXPECT_EQ(profile.calls(), 2);
}

TEST_F(ProfileTest, RefusesAnotherNumberOfLoops) {
  CodeVersion version = payload.versions[0];
  version.parts.order.pop_back();
  StepProfile profile(payload.model, version, {});
  session->profileTo(&profile);
  Result<void> fed = session->feed(tokens, Phase::Prefill, nullptr);
  ASSERT_FALSE(fed);
  EXPECT_EQ(fed.error().message,
            "the step ran 10 loops, its payload describes 9");
}

} // namespace
} // namespace moe::runtime
