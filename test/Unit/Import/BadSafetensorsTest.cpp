//===- BadSafetensorsTest.cpp - Malformed safetensors files ---------------===//
//
// Part of moe-mlir. Each row: a header, the bytes of data behind it, and a part
// of the one line that must come out.
//
//===----------------------------------------------------------------------===//

#include "TestCheckpoint.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::test;

namespace {

struct BadHeader {
  const char *name;
  std::string header;
  size_t dataBytes;
  const char *expected;
};

std::string entry(const char *dtype, const char *shape, const char *offsets) {
  return std::string("{\"dtype\":") + dtype + ",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}
std::string one(const char *dtype, const char *shape, const char *offsets) {
  return "{\"x\":" + entry(dtype, shape, offsets) + "}";
}
std::string two(const char *first, const char *second) {
  return "{\"x\":" + entry("\"U8\"", "[4]", first) +
         ",\"y\":" + entry("\"U8\"", "[4]", second) + "}";
}

const BadHeader badHeaders[] = {
    {"NotJson", "{\"x\":", 0, "header: expected valid JSON"},
    {"Empty", "", 0, "header: expected valid JSON"},
    {"NotUtf8", "{\"\xff\":1}", 0, "header: expected valid JSON"},
    {"TrailingText", "{}{}", 0, "header: expected valid JSON"},
    {"Array", "[]", 0, "header: expected a JSON object"},
    {"TooDeep", std::string(100, '['), 0, "nested at most 64 deep"},
    {"DuplicateName",
     "{\"x\":" + entry("\"U8\"", "[1]", "[0,1]") +
         ",\"x\":" + entry("\"U8\"", "[1]", "[1,2]") + "}",
     2, "field \"x\" occurs twice"},
    {"DuplicateField", "{\"x\":{\"dtype\":\"U8\",\"dtype\":\"F32\"}}", 0,
     "field \"dtype\" occurs twice"},
    {"EntryNotObject", "{\"x\":7}", 0, "tensor \"x\": expected an object"},
    {"MetadataNotObject", "{\"__metadata__\":7}", 0, "__metadata__: expected"},
    {"MetadataNotStrings", "{\"__metadata__\":{\"a\":1}}", 0,
     "__metadata__: expected an object of strings"},
    {"NoType", "{\"x\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "tensor \"x\": dtype: expected a string"},
    {"UnknownType", one("\"F4\"", "[1]", "[0,1]"), 1,
     "tensor \"x\": dtype: expected F32, F16, BF16 or another known type, "
     "found \"F4\""},
    {"NoShape", "{\"x\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1,
     "tensor \"x\": shape: expected an array"},
    {"NegativeExtent", one("\"U8\"", "[-1]", "[0,1]"), 1,
     "shape: expected non-negative integers"},
    {"FractionalExtent", one("\"U8\"", "[1.0]", "[0,1]"), 1,
     "shape: expected non-negative integers"},
    {"ShapeOverflow", one("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0,
     "shape: expected fewer than 2^63 bytes"},
    {"ShapeOverflowByType", one("\"F64\"", "[1152921504606846976]", "[0,0]"), 0,
     "shape: expected fewer than 2^63 bytes"},
    {"ShapeOverflowHiddenByZero",
     one("\"U8\"", "[0,18446744073709551615]", "[0,0]"), 0,
     "shape: expected fewer than 2^63 bytes"},
    {"NoOffsets", "{\"x\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1,
     "data_offsets: expected two non-negative integers"},
    {"OneOffset", one("\"U8\"", "[1]", "[0]"), 1,
     "data_offsets: expected two non-negative integers"},
    {"NegativeOffset", one("\"U8\"", "[1]", "[-1,0]"), 1,
     "data_offsets: expected two non-negative integers"},
    {"RangeBackwards", one("\"U8\"", "[1]", "[1,0]"), 1,
     "data_offsets: expected a range within the 1 bytes of data"},
    {"RangeBeyondFile", one("\"U8\"", "[2]", "[0,2]"), 1,
     "data_offsets: expected a range within the 1 bytes of data, found [0, 2]"},
    {"RangeHuge", one("\"U8\"", "[1]", "[18446744073709551615,0]"), 1,
     "data_offsets: expected a range within the 1 bytes"},
    {"RangeTooShort", one("\"F32\"", "[2]", "[0,4]"), 4,
     "data_offsets: expected 8 bytes for shape [2] of F32, found [0, 4]"},
    {"RangeTooLong", one("\"BF16\"", "[2]", "[0,8]"), 8,
     "data_offsets: expected 4 bytes for shape [2] of BF16"},
    {"Overlap", two("[0,4]", "[2,6]"), 6,
     "tensor \"y\": data_offsets: expected no overlap with tensor \"x\""},
    {"SameRange", two("[0,4]", "[0,4]"), 4, "expected no overlap"},
    {"Hole", two("[0,4]", "[5,9]"), 9,
     "tensor \"y\": data_offsets: expected to start at 4"},
    {"TrailingData", two("[0,4]", "[4,8]"), 9,
     "expected 8 bytes of data after the header, found 9"},
    {"ControlCharactersInName", "{\"a\\nb\":7}", 0,
     "tensor \"a\\x0Ab\": expected an object"},
};

class BadSafetensors : public testing::TestWithParam<BadHeader> {};

TEST_P(BadSafetensors, IsOneLine) {
  const BadHeader &bad = GetParam();
  std::string bytes =
      safetensorsBytes(bad.header, std::string(bad.dataBytes, '\0'));
  std::string message = messageOf(parseSafetensors(bytes, "m.safetensors"));
  EXPECT_NE(message.find(bad.expected), std::string::npos) << message;
  EXPECT_EQ(message.rfind("m.safetensors: ", 0), 0u) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(, BadSafetensors, testing::ValuesIn(badHeaders),
                         [](const auto &info) { return info.param.name; });

TEST(BadSafetensorsLength, ShorterThanItsLengthField) {
  EXPECT_EQ(messageOf(parseSafetensors("1234567", "m")),
            "m: expected a safetensors file of at least 8 bytes, found 7");
}

TEST(BadSafetensorsLength, HeaderLongerThanFile) {
  std::string bytes("\x10\0\0\0\0\0\0\0{}", 10);
  EXPECT_EQ(messageOf(parseSafetensors(bytes, "m")),
            "m: header length: expected at most 2 (the rest of the file), "
            "found 16");
}

TEST(BadSafetensorsLength, HeaderLengthNearOverflow) {
  std::string bytes = std::string(8, '\xff') + "{}";
  EXPECT_NE(messageOf(parseSafetensors(bytes, "m")).find("header length"),
            std::string::npos);
}

TEST(BadSafetensorsLength, EveryTruncationFails) {
  std::string bytes =
      safetensorsBytes({{"a", {{2, 3}}}, {"b", {{4}}}, {"c", {{}, 1.0f}}});
  ASSERT_EQ(messageOf(parseSafetensors(bytes, "m")), "");
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_NE(messageOf(parseSafetensors(bytes.substr(0, size), "m")), "")
        << size;
}

} // namespace
