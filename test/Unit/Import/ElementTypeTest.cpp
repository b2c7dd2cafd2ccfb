//===- ElementTypeTest.cpp - Widening to f32 ------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/ElementType.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace moe;

namespace {

TEST(ElementType, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(ElementType::Bool); ++i) {
    ElementType type = static_cast<ElementType>(i);
    EXPECT_EQ(parseElementName(elementName(type)), type);
  }
  EXPECT_EQ(elementBytes(ElementType::BF16), 2u);
  EXPECT_FALSE(parseElementName("bf16"));
}

void expectWidensLike(ElementType type, const llvm::fltSemantics &semantics) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    llvm::APFloat reference(semantics, llvm::APInt(16, bits));
    uint16_t half = bits;
    float value;
    widenToF32(&half, type, value);
    if (reference.isNaN()) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      continue;
    }
    float expected = reference.convertToFloat();
    ASSERT_EQ(llvm::bit_cast<uint32_t>(value),
              llvm::bit_cast<uint32_t>(expected))
        << bits;
  }
}

TEST(ElementType, WidensEveryF16) {
  expectWidensLike(ElementType::F16, llvm::APFloat::IEEEhalf());
}

TEST(ElementType, WidensEveryBF16) {
  expectWidensLike(ElementType::BF16, llvm::APFloat::BFloat());
}

TEST(ElementType, WidensUnalignedData) {
  char bytes[13];
  float in[3] = {1.5f, -2.0f, 3.25f}, out[3];
  std::memcpy(bytes + 1, in, 12);
  widenToF32(bytes + 1, ElementType::F32, out);
  EXPECT_EQ(std::memcmp(in, out, 12), 0);
}

} // namespace
