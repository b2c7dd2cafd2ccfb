//===- PairsTest.cpp - Products of bf16 against their definitions ---------===//
//
// Part of moe-mlir. The emulated products of bf16 by AMX and by AArch64's
// BFDOT, bit by bit against the operations that the manuals of Intel and Arm
// give for these instructions, one number at a time.
//
//===----------------------------------------------------------------------===//

#include "Chunks.h"
#include "moe/Reference/RandomTensor.h"

#include "llvm/ADT/APFloat.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>

using namespace mlir;
using namespace moec;
using namespace moec::test;
using llvm::APFloat;
using reference::Element;
using reference::Tensor;

namespace {

float flushed(float x) {
  return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x;
}

/// One f32 of TDPBF16PS: `a` and `b` are a row and a column, 32 elements each.
float addTile(float sum, const float *a, const float *b) {
  float parts[2] = {0, 0};
  for (int k = 0; k < 32; ++k)
    parts[k % 2] =
        flushed(std::fma(flushed(a[k]), flushed(b[k]), parts[k % 2]));
  return flushed(flushed(sum) + flushed(parts[0] + parts[1]));
}

/// The two sides of a number in f32, of which only the odd one is kept: digits
/// cut off leave a trace in the last that stays (BFRound in Arm's manual).
float roundToOdd(APFloat exact) {
  APFloat limit(std::ldexp(1.0, 128));
  bool lost;
  limit.convert(APFloat::IEEEquad(), APFloat::rmTowardZero, &lost);
  float sign = exact.isNegative() ? -1.0f : 1.0f;
  if (!exact.isNaN() && llvm::abs(exact) >= limit)
    return sign * INFINITY;
  exact.convert(APFloat::IEEEsingle(), APFloat::rmTowardZero, &lost);
  APFloat odd(APFloat::IEEEsingle(), exact.bitcastToAPInt() | uint64_t(lost));
  return flushed(exact.isNaN() ? NAN : odd.convertToFloat());
}

APFloat inQuad(float x) {
  APFloat wide(flushed(x));
  bool lost;
  wide.convert(APFloat::IEEEquad(), APFloat::rmTowardZero, &lost);
  return wide;
}

float addToOdd(float a, float b) {
  APFloat sum = inQuad(a);
  bool lost = sum.add(inQuad(b), APFloat::rmTowardZero) & APFloat::opInexact;
  if (lost)
    sum = APFloat(APFloat::IEEEquad(), sum.bitcastToAPInt() | 1);
  return roundToOdd(sum);
}

float multiplyToOdd(float a, float b) {
  APFloat product = inQuad(a);
  product.multiply(inQuad(b), APFloat::rmTowardZero);
  return roundToOdd(product);
}

/// One f32 of BFDOT: BFDotAdd in Arm's manual, FPCR.EBF = 0.
float addPair(float sum, const float *a, const float *b) {
  return addToOdd(
      sum, addToOdd(multiplyToOdd(a[0], b[0]), multiplyToOdd(a[1], b[1])));
}

/// How an instruction adds `width` products to a sum.
struct Definition {
  int64_t width;
  float (*add)(float sum, const float *a, const float *b);
};

/// A row times a column, padded with zeros to whole steps.
float multiply(const Definition &definition, const Tensor &x, int64_t row,
               const Tensor &w, int64_t column) {
  float sum = 0;
  int64_t width = definition.width;
  for (int64_t k = 0; k < x.columns(); k += width) {
    float a[32] = {}, b[32] = {};
    for (int64_t i = 0; i < std::min(width, x.columns() - k); ++i) {
      a[i] = float(x.at(row, k + i));
      b[i] = float(w.at(column, k + i));
    }
    sum = definition.add(sum, a, b);
  }
  return sum;
}

/// Numbers of every size: products that are lost beside others, that cancel,
/// that are denormal or too large, and elements that are denormal themselves.
Tensor makeNumbers(uint64_t seed, int64_t rows, int64_t columns) {
  Tensor tensor =
      reference::makeRandomTensor(seed, Element::BF16, {rows, columns});
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t k = 0; k < columns; ++k) {
      static constexpr int kScales[] = {0, 0, 3, -70, 0, -128, 0, 62};
      tensor.at(i, k) =
          std::ldexp(tensor.at(i, k), kScales[(7 * i + k * (k + i)) % 8]);
      if ((i + k) % 11 == 0)
        tensor.at(i, k) = -0.0;
    }
  // One row of numbers that are small alone: every sum is flushed somewhere.
  for (int64_t k = 0; k < columns; ++k)
    tensor.at(rows - 1, k) = std::ldexp(tensor.at(0, k) < 0 ? -1 : 1, -64);
  tensor.round();
  return tensor;
}

std::string linearText(int64_t columns) {
  std::string k = std::to_string(columns);
  return "func.func @linear(%x: tensor<?x" + k + "xbf16>, %w: tensor<50x" + k +
         "xbf16>) -> tensor<?x50xf32> {\n  %y = lm.linear %x, %w : (tensor<?x" +
         k + "xbf16>, tensor<50x" + k +
         "xbf16>) -> tensor<?x50xf32>\n  return %y : tensor<?x50xf32>\n}\n";
}

void expectDefinition(const Variant &variant, const Definition &definition,
                      int64_t columns) {
  RandomCase graph(linearText(columns), 1, variant, 70);
  SCOPED_TRACE(graph.describe());
  llvm::Error error = graph.prepare();
  ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
  Tensor x = makeNumbers(5, 70, columns), w = makeNumbers(6, 50, columns);
  graph.setArgument(0, x);
  graph.setArgument(1, w);
  std::vector<float> products;
  for (int64_t i = 0; i < 70; ++i)
    for (int64_t j = 0; j < 50; ++j)
      products.push_back(multiply(definition, x, i, w, j));
  for (int64_t chunk : {1, 3, 17, 33, 70}) {
    std::vector<double> actual = runInChunks(graph, 70, {chunk}, 1);
    ASSERT_EQ(int64_t(actual.size()), 70 * 50);
    for (int64_t i = 0; i < 70; ++i)
      for (int64_t j = 0; j < 50; ++j) {
        double expected = products[i * 50 + j];
        if (!std::isnan(expected))
          ASSERT_EQ(bits(actual[i * 50 + j]), bits(expected))
              << "row " << i << ", column " << j << ", chunks of " << chunk;
        else
          ASSERT_TRUE(std::isnan(actual[i * 50 + j]));
      }
  }
}

void expectEverywhere(kernels::Recipe recipe, const Definition &definition) {
  bool found = false;
  for (const Variant &variant : getVariants()) {
    if (variant.machine.kernels.recipe != recipe)
      continue;
    found = true;
    for (int64_t columns : {8, 31, 32, 72, 96, 200})
      expectDefinition(variant, definition, columns);
  }
  EXPECT_TRUE(found);
}

TEST(TilePairs, AreWhatIntelDefines) {
  expectEverywhere(kernels::Recipe::TilePairs, {32, addTile});
}

TEST(OddPairs, AreWhatArmDefines) {
  expectEverywhere(kernels::Recipe::OddPairs, {2, addPair});
}

} // namespace
