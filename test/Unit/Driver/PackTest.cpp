//===- PackTest.cpp - Where quantised weights lie in a panel --------------===//
//
// Part of moe-mlir. Reads panels as docs/weight-formats.md describes them,
// without the code that wrote them.
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/Pack.h"

#include "dialects/LM/IR/WeightFormat.h"
#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace moec;
using namespace mlir::lm;

namespace {

constexpr int64_t kRows = 40, kColumns = 72, kPadded = 96;

/// Values whose quantised form differs from row to row and column to column.
float valueAt(int64_t expert, int64_t row, int64_t column) {
  return std::sin(double(1 + column + 100 * row + 7777 * expert)) *
         std::ldexp(1.0, int(row % 5));
}

RowReader reader() {
  return {[](int64_t expert, int64_t row, llvm::MutableArrayRef<float> out) {
            for (auto [column, value] : llvm::enumerate(out))
              value = valueAt(expert, row, column);
          },
          [](int64_t, int64_t) { return std::nullopt; }};
}

/// Code of lane and K, and bits of scale and minimum, by the documented layout.
struct Panel {
  Format format;
  const uint8_t *bytes;

  /// Of int8_channel the panel is one block.
  int64_t blockColumns() const {
    return format == Format::MXFP4         ? 128
           : format == Format::Int8Channel ? kPadded
                                           : 64;
  }
  int64_t blockLines() const {
    bool isInt4 = format == Format::Int4 || format == Format::Int4NL;
    return isInt4 ? 9 : format == Format::Int4Min ? 10 : 17;
  }
  const uint8_t *block(int64_t k) const {
    return bytes + k / blockColumns() * blockLines() * 64;
  }
  uint8_t code(int64_t lane, int64_t k) const {
    int64_t group = k % blockColumns() / 32, inGroup = k % 32;
    int64_t scales = format == Format::Int4Min       ? 128
                     : format == Format::Int8Channel ? 0
                                                     : 64;
    if (format == Format::Int8 || format == Format::Int8Channel)
      return block(
          k)[scales + group * 512 + inGroup / 4 * 64 + lane * 4 + k % 4];
    uint8_t byte =
        block(k)[scales + group * 256 + inGroup / 8 * 64 + lane * 4 + k % 4];
    return inGroup % 8 < 4 ? byte & 15 : byte >> 4;
  }
  uint32_t scale(int64_t lane, int64_t k, int64_t kind = 0) const {
    if (format == Format::Int8Channel) {
      uint32_t bits;
      std::memcpy(&bits, bytes + kPadded / 4 * 64 + lane * 4, 4);
      return bits;
    }
    int64_t group = k % blockColumns() / 32;
    const uint8_t *at = block(k) + kind * 64;
    if (format == Format::MXFP4)
      return at[group * 16 + lane];
    at += group * 32 + lane * 2;
    return at[0] | at[1] << 8;
  }
};

class Pack : public testing::TestWithParam<Format> {};

TEST_P(Pack, PutsEveryGroupWhereTheLayoutSays) {
  mlir::MLIRContext context;
  context.loadDialect<LMDialect>();
  for (Layout layout : {Layout::Panel, Layout::PairedPanel}) {
    auto type =
        PackedType::get(&context, {2, kRows, kColumns}, GetParam(), layout);
    int64_t panels = type.getPanels(), size = type.getLines() * 64;
    EXPECT_EQ(panels, 4);
    std::vector<char> bytes(type.getMatrixBytes(), char(0xaa));
    packPanels(type, reader(), 1, 0, panels, bytes);
    for (int64_t row = 0; row < 64; ++row) {
      bool paired = layout == Layout::PairedPanel, isUp = row >= 32;
      int64_t half = row % 32;
      int64_t panel = paired ? half / 16 * 2 + isUp : row / 16;
      int64_t logical = !paired            ? (row < kRows ? row : -1)
                        : half < kRows / 2 ? half + isUp * kRows / 2
                                           : -1;
      Panel view{GetParam(),
                 reinterpret_cast<uint8_t *>(bytes.data()) + panel * size};
      std::vector<float> values(kPadded, 0.0f);
      for (int64_t i = 0; logical >= 0 && i < kColumns; ++i)
        values[i] = valueAt(1, logical, i);
      std::vector<QuantisedGroup> groups = quantiseRow(GetParam(), values);
      for (int64_t k = 0; k < kColumns; k += 32) {
        const QuantisedGroup &group = groups[k / 32];
        ASSERT_EQ(view.scale(row % 16, k), group.scale);
        if (GetParam() == Format::Int4Min)
          ASSERT_EQ(view.scale(row % 16, k, 1), group.minimum);
        for (int64_t i = 0; i < 32; ++i)
          ASSERT_EQ(view.code(row % 16, k + i), group.codes[i])
              << "row " << row << ", column " << k + i;
      }
    }
  }
}

/// Panels may be packed one by one, in any order.
TEST_P(Pack, DoesNotDependOnHowItIsCut) {
  mlir::MLIRContext context;
  context.loadDialect<LMDialect>();
  auto type =
      PackedType::get(&context, {kRows, kColumns}, GetParam(), Layout::Panel);
  std::vector<char> whole(type.getBytes()), parts(type.getBytes(), 1);
  packPanels(type, reader(), 0, 0, 4, whole);
  int64_t size = type.getLines() * 64;
  for (int64_t panel : {3, 0, 2, 1})
    packPanels(type, reader(), 0, panel, 1,
               llvm::MutableArrayRef<char>(parts).slice(panel * size, size));
  EXPECT_EQ(whole, parts);
}

std::string nameOf(const testing::TestParamInfo<Format> &info) {
  return stringifyFormat(info.param).str();
}
INSTANTIATE_TEST_SUITE_P(Formats, Pack,
                         testing::Values(Format::Int8, Format::Int4,
                                         Format::Int4Min, Format::MXFP4,
                                         Format::Int8Channel, Format::Int4NL),
                         nameOf);

} // namespace
