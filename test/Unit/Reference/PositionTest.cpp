//===- PositionTest.cpp - Rotary position embedding -----------------------===//
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

std::string ropeText(const std::string &style, int64_t columns) {
  std::string type = "tensor<?x" + std::to_string(columns) + "xf32>";
  return wrap("%x: " + type + ", %t: tensor<?x2xf32>",
              "lm.rope %x, %t {heads = 1 : i64, style = #lm.rope_style<" +
                  style + ">} : (" + type + ", tensor<?x2xf32>) -> " + type,
              type);
}

TEST(RopeTable, RoundsTheAngleToF32) {
  Program program(wrap(
      "%f: tensor<2xf32>, %p: index, %t: tensor<?xi32>",
      "lm.rope_table %f at %p tokens(%t) {scale = 0.5 : f64} : (tensor<2xf32>,"
      " index, tensor<?xi32>) -> tensor<?x4xf32>",
      "tensor<?x4xf32>"));
  float slow = 0.1f;
  Tensor table = program.runForTensor(
      {rows({2}, {1, slow}), int64_t(30000), ids({2}, {7, 7})});
  for (int64_t t = 0; t < 2; ++t) {
    float angles[] = {float(30000 + t), float(30000 + t) * slow};
    for (int64_t i = 0; i < 2; ++i) {
      EXPECT_NEAR(table.at(t, i), 0.5 * std::cos(double(angles[i])), 1e-7);
      EXPECT_NEAR(table.at(t, 2 + i), 0.5 * std::sin(double(angles[i])), 1e-7);
    }
  }
}

TEST(Rope, HalvesRotatesElementsNApart) {
  // One angle of 90 degrees; the last elements are copied.
  Program program(ropeText("halves", 4));
  expectNear(
      program.runForTensor({rows({1, 4}, {1, 2, 3, 4}), rows({1, 2}, {0, 1})}),
      {-2, 1, 3, 4});
}

TEST(Rope, StylesDifferOnlyInPairs) {
  std::string table = "tensor<?x4xf32>", x = "tensor<?x4xf32>";
  auto text = [&](const std::string &style) {
    return wrap("%x: " + x + ", %t: " + table,
                "lm.rope %x, %t {heads = 1 : i64, style = #lm.rope_style<" +
                    style + ">} : (" + x + ", " + table + ") -> " + x,
                x);
  };
  // Angles 90 and 180 degrees: cosines 0, -1, sines 1, 0.
  RuntimeValue angles = rows({1, 4}, {0, -1, 1, 0});
  RuntimeValue values = rows({1, 4}, {1, 2, 3, 4});
  Program halves(text("halves")), adjacent(text("adjacent"));
  expectNear(halves.runForTensor({values, angles}), {-3, -2, 1, -4});
  expectNear(adjacent.runForTensor({values, angles}), {-2, 1, -3, -4});
}

TEST(Rope, RefusesATableOfOtherRows) {
  Program program(ropeText("halves", 4));
  EXPECT_TRUE(
      program.run({rows({1, 4}, {1, 2, 3, 4}), rows({2, 2}, {0, 1, 0, 1})})
          .empty());
  EXPECT_NE(program.error.find("rope_c4"), std::string::npos);
}

} // namespace
