//===- SessionTest.cpp - Chunks, positions and the context ----------------===//
//
// Part of moe-mlir. ToyModel.cpp aborts when a call breaks the contract.
//
//===----------------------------------------------------------------------===//

#include "ToyPayload.h"
#include "moe/Runtime/Session.h"

#include <gtest/gtest.h>
#include <numeric>

namespace moe::runtime {
namespace {

class SessionTest : public testing::Test {
protected:
  void SetUp() override {
    Result<Payload> parsed = parsePayload(std::as_bytes(std::span(bytes)));
    ASSERT_TRUE(parsed) << parsed.error().message;
    payload = *parsed;
    tokens.resize(150);
    std::iota(tokens.begin(), tokens.end(), 100);
  }

  Session make(SessionOptions options = {}) {
    Result<Session> session =
        Session::create(payload, moe_code_versions[0].step, options);
    EXPECT_TRUE(session) << session.error().message;
    return std::move(*session);
  }

  std::vector<float> allLogits(int64_t chunk) {
    Session session = make({.context = 0, .chunk = chunk, .threads = 2});
    std::vector<float> all;
    Session::LogitsSink sink = [&](std::span<const float> rows) {
      all.insert(all.end(), rows.begin(), rows.end());
      return true;
    };
    EXPECT_TRUE(session.feed(tokens, Phase::Prefill, nullptr, &sink));
    return all;
  }

  std::string bytes = test::toyPayload();
  Payload payload;
  std::vector<int32_t> tokens;
};

TEST_F(SessionTest, ChunkingChangesNothing) {
  std::vector<float> expected = allLogits(48);
  ASSERT_EQ(expected.size(), 150u * 300);
  for (int64_t chunk : {1, 7, 16, 47})
    EXPECT_EQ(allLogits(chunk), expected) << chunk;
}

TEST_F(SessionTest, LastLogitsAreTheLastRow) {
  std::vector<float> expected = allLogits(48), last;
  Session session = make();
  ASSERT_TRUE(session.feed(tokens, Phase::Prefill, &last));
  EXPECT_EQ(last, std::vector<float>(expected.end() - 300, expected.end()));
  EXPECT_EQ(session.position(), 150);
}

TEST_F(SessionTest, ResetStartsAnew) {
  Session session = make();
  std::vector<float> first, second;
  ASSERT_TRUE(session.feed(tokens, Phase::Prefill, &first));
  session.reset();
  ASSERT_TRUE(session.feed(tokens, Phase::Prefill, &second));
  EXPECT_EQ(first, second);
}

TEST_F(SessionTest, TheContextEndsWithBothNumbers) {
  Session session = make({.context = 149, .chunk = 0, .threads = 1});
  Result<void> fed = session.feed(tokens, Phase::Prefill, nullptr);
  ASSERT_FALSE(fed);
  EXPECT_NE(
      fed.error().message.find("needs 150 positions, the context has 149"),
      std::string::npos);
  EXPECT_EQ(session.position(), 0);
}

TEST_F(SessionTest, RefusesTokensOutsideTheVocabulary) {
  Session session = make();
  for (int32_t bad : {-1, 300}) {
    std::vector<int32_t> input = {1, bad};
    Result<void> fed = session.feed(input, Phase::Prefill, nullptr);
    ASSERT_FALSE(fed);
    EXPECT_NE(fed.error().message.find("token 1 of the input is " +
                                       std::to_string(bad)),
              std::string::npos);
  }
}

TEST_F(SessionTest, RefusesContextAndChunkOutOfRange) {
  auto create = [&](SessionOptions options) {
    return Session::create(payload, moe_code_versions[0].step, options);
  };
  EXPECT_FALSE(create({.context = 201, .chunk = 0, .threads = 1}));
  EXPECT_FALSE(create({.context = -1, .chunk = 0, .threads = 1}));
  EXPECT_FALSE(create({.context = 0, .chunk = 49, .threads = 1}));
  EXPECT_EQ(make().context(), 200);
}

TEST_F(SessionTest, AnInterruptStopsBetweenChunks) {
  Session session = make({.context = 0, .chunk = 10, .threads = 1});
  session.interruptWhen([&] { return session.position() >= 30; });
  ASSERT_TRUE(session.feed(tokens, Phase::Prefill, nullptr));
  EXPECT_EQ(session.position(), 30);
}

} // namespace
} // namespace moe::runtime
