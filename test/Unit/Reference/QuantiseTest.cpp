//===- QuantiseTest.cpp - Numbers of quantised weights and rows -----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include "dialects/LM/IR/WeightFormat.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"

#include <cmath>

using namespace moec;
using namespace moec::reference;
using namespace moec::test;
using namespace mlir::lm;

namespace {

uint16_t referenceHalf(float value) {
  llvm::APFloat number(value);
  bool lost;
  number.convert(llvm::APFloat::IEEEhalf(), llvm::APFloat::rmNearestTiesToEven,
                 &lost);
  return number.bitcastToAPInt().getZExtValue();
}

TEST(Half, RoundsToNearestEven) {
  // Every f16, its neighbours in f32 and the ties between two f16.
  for (uint32_t bits = 0; bits < 0x7c00; ++bits)
    for (float step : {0.0f, 0.5f}) {
      double next = bits == 0x7bff ? 65536 : fromHalf(bits + 1);
      float at = fromHalf(bits) + step * (next - fromHalf(bits));
      for (float value : {std::nextafterf(at, 0), at, std::nextafterf(at, 1e9)})
        for (float sign : {1.f, -1.f})
          ASSERT_EQ(toHalf(sign * value), referenceHalf(sign * value))
              << sign * value;
    }
  EXPECT_EQ(toHalf(1e9f), 0x7c00);
  EXPECT_EQ(toHalf(-INFINITY), 0xfc00);
  EXPECT_TRUE(std::isnan(fromHalf(toHalf(NAN))));
}

std::vector<double> readBack(Format format, std::vector<float> values) {
  std::vector<double> result(values.size());
  dequantise(format, quantise(format, values), result);
  return result;
}

TEST(Quantise, Int8HasTheLargestAt127) {
  // Scale 2^-7: every multiple is exact, ties go to even.
  std::vector<float> values = {127, -127, 1, 0.5, 1.5, -2.5, 0, 64};
  std::vector<double> expected = {127, -127, 1, 0, 2, -2, 0, 64};
  for (float &value : values)
    value /= 128;
  for (double &value : expected)
    value /= 128;
  EXPECT_EQ(readBack(Format::Int8, values), expected);
}

TEST(Quantise, Int8DividesByTheScaleAsStored) {
  // 1 / 127 is no f16: nearest(w / d) with the rounded d.
  QuantisedGroup group = quantise(Format::Int8, {1.0f, 0.25f});
  double d = fromHalf(group.scale);
  EXPECT_NE(d, 1.0 / 127);
  EXPECT_EQ(group.codes[0], 128 + std::nearbyint(1 / d));
  EXPECT_EQ(group.codes[1], 128 + std::nearbyint(0.25 / d));
  EXPECT_EQ(group.codes[2], 128); // behind the last value
}

TEST(Quantise, Int8ChannelHasOneScaleARow) {
  std::vector<float> row(40, 1);
  row[1] = -0.5f, row[39] = 254;
  std::vector<QuantisedGroup> groups = quantiseRow(Format::Int8Channel, row);
  ASSERT_EQ(groups.size(), 2u);
  for (const QuantisedGroup &group : groups)
    EXPECT_EQ(llvm::bit_cast<float>(group.scale), 2);
  EXPECT_EQ(groups[0].codes[0], 128); // 0.5: to even
  EXPECT_EQ(groups[0].codes[1], 128);
  EXPECT_EQ(groups[1].codes[7], 255);
  EXPECT_EQ(groups[1].codes[8], 128); // behind the last column
  row[39] = INFINITY;
  for (const QuantisedGroup &group : quantiseRow(Format::Int8Channel, row))
    EXPECT_TRUE(std::isnan(llvm::bit_cast<float>(group.scale)));
  // f16 has no such scales.
  for (float size : {1e-20f, 1e20f})
    EXPECT_EQ(readBack(Format::Int8Channel, {127 * size})[0],
              127 * double(size));
}

TEST(Quantise, Int4GivesTheExtremeValueCode0) {
  EXPECT_EQ(readBack(Format::Int4, {8, 7.4, -7, 0.5, -8}),
            (std::vector<double>{7, 7, -7, 0, -8}));
  // A positive extreme turns the scale's sign.
  EXPECT_EQ(readBack(Format::Int4, {8, -8 + 0.9, 3}),
            (std::vector<double>{8, -7, 3}));
}

TEST(Quantise, Int4MinSpansTheRange) {
  std::vector<float> values(32, 2.0f);
  values[1] = 17;
  values[2] = 9.4;
  std::vector<double> expected(32, 2);
  expected[1] = 17;
  expected[2] = 9;
  EXPECT_EQ(readBack(Format::Int4Min, values), expected);
  // Zeros behind the last value are part of the group.
  EXPECT_EQ(readBack(Format::Int4Min, {15, 7}), (std::vector<double>{15, 7}));
}

TEST(Quantise, Int4NLFindsItsOwnNumbers) {
  for (float scale : {1.0f, -0.25f}) {
    std::vector<float> values;
    for (int8_t number : kInt4NL)
      values.insert(values.end(), 2, number * scale);
    EXPECT_EQ(readBack(Format::Int4NL, values),
              std::vector<double>(values.begin(), values.end()));
  }
  // A single value is met by a scale of its own; zeros take the code 8.
  QuantisedGroup group = quantise(Format::Int4NL, {0, 3});
  EXPECT_NEAR(readBack(Format::Int4NL, {0, 3})[1], 3, 0.01);
  EXPECT_EQ(group.codes[0], 8);
  EXPECT_EQ(quantise(Format::Int4NL, {0, 0}).codes[0], 8);
}

TEST(Quantise, MXFP4RoundsToTheNumbersOfE2M1) {
  std::vector<float> values = {6,    5.1, 5,     3.5, 2.5,   1.75, 1.25,
                               0.75, 0.25, 0.26, -0.3, -1.2, -4.9, 0};
  std::vector<double> expected = {6, 6,   4,   4,    2,  2,  1,
                                  1, 0,   0.5, -0.5, -1, -4, 0};
  EXPECT_EQ(readBack(Format::MXFP4, values), expected);
  for (float &value : values)
    value = std::ldexp(value, -40);
  for (double &value : expected)
    value = std::ldexp(value, -40);
  EXPECT_EQ(readBack(Format::MXFP4, values), expected);
  // Between 6 and 8 times the scale there is nothing.
  EXPECT_EQ(readBack(Format::MXFP4, {7.9f})[0], 6);
}

TEST(Quantise, WhatIsNotFiniteStaysSo) {
  for (Format format : {Format::Int8, Format::Int4, Format::Int4Min,
                        Format::MXFP4, Format::Int8Channel, Format::Int4NL}) {
    for (float bad : {float(NAN), float(INFINITY), -float(INFINITY)})
      for (double value : readBack(format, {1, bad, 2}))
        EXPECT_TRUE(std::isnan(value)) << stringifyFormat(format).str();
    EXPECT_EQ(readBack(format, {0, -0.0f}), (std::vector<double>{0, 0}));
  }
}

//===----------------------------------------------------------------------===//
// In the interpreter
//===----------------------------------------------------------------------===//

std::string linear(const std::string &format) {
  return wrap("%x: tensor<?x40xf32>, %w: tensor<2x40xf32> {lm.format = "
              "#lm.format<" +
                  format + ">}",
              "lm.linear %x, %w : (tensor<?x40xf32>, tensor<2x40xf32>) -> "
              "tensor<?x2xf32>",
              "tensor<?x2xf32>");
}

TEST(QuantisedProduct, ReadsRowsInGroups) {
  std::vector<double> x(40, 0), w(80, 0);
  x[0] = 127, x[1] = 3.4, x[2] = -0.6; // scale 1
  x[32] = 1270, x[33] = 14;            // scale 10
  w[0] = 127, w[1] = 2, w[2] = 5, w[32] = 127, w[33] = 3;
  w[40 + 33] = 127;
  Program program(linear("int8"));
  expectNear(program.runForTensor({rows({1, 40}, x), rows({2, 40}, w)}),
             {127 * 127 + 6 - 5 + 127 * 1270 + 30, 127 * 10}, 0);
}

TEST(QuantisedProduct, ReadsWholeRows) {
  std::vector<double> x(40, 0), w(80, 0);
  x[0] = 3.4, x[32] = 127, x[39] = -0.6; // scale 1
  w[0] = 254, w[32] = 4, w[39] = 2;      // scale 2
  w[40 + 32] = 127;
  Program program(linear("int8_channel"));
  expectNear(program.runForTensor({rows({1, 40}, x), rows({2, 40}, w)}),
             {3 * 254 + 127 * 4 - 2, 127 * 127}, 0);
}

TEST(QuantisedProduct, SmallGroupsAreZeros) {
  std::vector<double> x(40, 0x1p-101), w(80, 127);
  x[32] = 0x1p-90;
  Program program(linear("int8"));
  expectNear(program.runForTensor({rows({1, 40}, x), rows({2, 40}, w)}),
             {127 * 0x1p-90, 127 * 0x1p-90}, 0);
}

TEST(QuantisedProduct, RowsThatAreNotFiniteStayAlone) {
  std::vector<double> x(80, 1), w(80, 1);
  x[35] = INFINITY;
  Program program(linear("int4"));
  Tensor result =
      program.runForTensor({rows({2, 40}, x), rows({2, 40}, w)});
  EXPECT_TRUE(std::isnan(result[0]) && std::isnan(result[1]));
  EXPECT_TRUE(std::isfinite(result[2]) && std::isfinite(result[3]));
}

/// The same numbers whether an argument says so or a type.
TEST(QuantisedProduct, PhasesAgree) {
  RuntimeValue x = random(1, {3, 40}), w = random(2, {2, 40});
  for (const char *format :
       {"int8", "int4", "int4_min", "mxfp4", "int8_channel", "int4_nl"}) {
    Program argument(linear(format));
    std::string type = "!lm.packed<2x40x" + std::string(format) + ", panel>";
    Program packed(wrap("%x: tensor<?x40xf32>, %w: " + type,
                        "lm.linear %x, %w : (tensor<?x40xf32>, " + type +
                            ") -> tensor<?x2xf32>",
                        "tensor<?x2xf32>"));
    Tensor expected = argument.runForTensor({x, w});
    expectNear(packed.runForTensor({x, w}), expected.data, 0);
    Program exact(wrap("%x: tensor<?x40xf32>, %w: tensor<2x40xf32>",
                       "lm.linear %x, %w : (tensor<?x40xf32>, "
                       "tensor<2x40xf32>) -> tensor<?x2xf32>",
                       "tensor<?x2xf32>"));
    EXPECT_NE(exact.runForTensor({x, w}).data, expected.data) << format;
  }
}

} // namespace
