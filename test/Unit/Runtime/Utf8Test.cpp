//===- Utf8Test.cpp - Repair and streaming of UTF-8 -----------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "lib/Runtime/Utf8.h"

#include <gtest/gtest.h>

namespace moe::runtime {
namespace {

#define FFFD "\xEF\xBF\xBD"

TEST(Utf8, ReplacesMaximalSubparts) {
  // The Unicode Standard, table 3-8.
  EXPECT_EQ(replaceInvalidUtf8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80"
                               "\xBF\x64"),
            "a" FFFD FFFD FFFD "b" FFFD "c" FFFD FFFD "d");
  EXPECT_EQ(replaceInvalidUtf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A");
  EXPECT_EQ(replaceInvalidUtf8("\xED\xA0\x80\xF4\x91\x92\x93"),
            FFFD FFFD FFFD FFFD FFFD FFFD FFFD);
}

TEST(Utf8, WaitsForUnfinishedCharacters) {
  std::string bytes = "a\xF0\x9F\x98";
  EXPECT_EQ(takeWholeCharacters(bytes, false), "a");
  EXPECT_EQ(bytes, "\xF0\x9F\x98");
  bytes += "\x80";
  EXPECT_EQ(takeWholeCharacters(bytes, false), "😀");
  bytes = "\xE4\xBD";
  EXPECT_EQ(takeWholeCharacters(bytes, true), FFFD);
  EXPECT_TRUE(bytes.empty());
}

TEST(Utf8, EncodesAndDecodesEveryLength) {
  for (uint32_t c : {0x0u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xD7FFu, 0xE000u,
                     0xFFFFu, 0x10000u, 0x10FFFFu}) {
    std::string text;
    appendUtf8(text, c);
    Utf8Front front = utf8Front(text);
    EXPECT_EQ(front.kind, Utf8Front::Character);
    EXPECT_EQ(front.codePoint, c);
    EXPECT_EQ(size_t(front.bytes), text.size());
  }
}

} // namespace
} // namespace moe::runtime
