//===- WeightFormat.h - Packed numbers and where they lie -------*- C++ -*-===//
//
// Part of moe-mlir. The one definition of the quantised weight formats: what
// the packer writes, kernels read and the interpreter means. See
// docs/weight-formats.md.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECTS_LM_IR_WEIGHTFORMAT_H
#define MOE_DIALECTS_LM_IR_WEIGHTFORMAT_H

#include "dialects/LM/IR/LMDialect.h"

#include <array>

namespace mlir::lm {

/// Name of the attribute of a function's argument that is quantised.
inline constexpr llvm::StringLiteral kFormatAttr = "lm.format";
/// Name of the module's attribute for how rows enter products with such
/// weights.
inline constexpr llvm::StringLiteral kActivationsAttr = "lm.activations";

/// Columns (K) of a group: what one scale is for.
inline constexpr int64_t kGroup = 32;

bool isQuantised(Format format);
/// Whether products with quantised weights read rows as they are; else rounded
/// to int8 (`lm.activations` of the module around `op`).
bool hasFloatActivations(Operation *op);
/// The format that is an element type, if there is one.
std::optional<Format> getFloatFormat(Type element);
/// f32, bf16, f16, or i8 for the bytes of a quantised format.
Type getStorageType(Format format, MLIRContext *context);
/// The format in which products read a weight: of its packed type, or what
/// `lm.format` says of the argument that it is, or its element type.
std::optional<Format> getWeightFormat(Value weight);
/// Element type of a weight's logical numbers; f32 of a packed weight that is
/// quantised, whose numbers were f32 when it was.
Type getWeightElement(Type type);

/// How the groups of a quantised format lie in a panel: blocks of some groups,
/// the lines with a block's scales first, then each group's integers in lines
/// of 16 lanes of 4 bytes. Where one scale serves a whole row, it is read when
/// the row's sum is complete, and lies behind all groups. Who reads group after
/// group reads ascending lines.
struct QuantisedLayout {
  int64_t groups;     ///< of a block; 0 for all of a row
  int64_t groupLines; ///< 8 for bytes, 4 for nibbles
  int64_t scaleLines; ///< one for each kind of scale (scale, minimum)
  int64_t scaleBytes; ///< of one scale: f32, f16, or E8M0
  /// What is added to an integer to make it unsigned in memory; the code of
  /// what has the scale 0.
  int64_t bias;
  /// The integers that nibbles stand for, where those are codes.
  ArrayRef<int8_t> table = {};
  /// Integers are so many times the format's numbers.
  int64_t fraction = 1;

  static QuantisedLayout of(Format format);
  /// Whether all columns of a row have one scale.
  bool spansRow() const { return groups == 0; }
  /// Columns, of a row's, that have one scale.
  int64_t span(int64_t columns) const { return spansRow() ? columns : kGroup; }
  /// Most columns of a row: their sum of integers fits in 32 bits.
  int64_t mostColumns() const;
  /// Of formats in blocks.
  int64_t blockLines() const { return groups * groupLines + scaleLines; }
  /// First line of a group of a panel.
  int64_t groupLine(int64_t group) const;
  /// The line of a group's first kind of scale in a panel of `lines` lines.
  int64_t scaleLine(int64_t group, int64_t lines) const;
  /// The place of a group's scales in their line, in groups.
  int64_t scalePlace(int64_t group) const {
    return spansRow() ? 0 : group % groups;
  }
  int64_t linesOf(int64_t columns) const;
  /// K padded to whole blocks.
  int64_t paddedColumns(int64_t lines) const;
  /// Whether a panel may have so many lines.
  bool isWhole(int64_t lines) const {
    int64_t columns = paddedColumns(lines);
    return columns > 0 && linesOf(columns) == lines;
  }
  bool isNibbles() const { return groupLines == 4; }
  bool isTable() const { return !table.empty(); }
  bool hasMinimum() const { return scaleLines == 2; }
};

/// Twice the values of the E2M1 codes, of which 8 and more have a sign.
inline constexpr int8_t kDoubledE2M1[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                            0, -1, -2, -3, -4, -6, -8, -12};
/// The numbers of llama.cpp's IQ4_NL (kvalues_iq4nl in its ggml-common.h),
/// ascending: normal values lie denser in the middle.
inline constexpr int8_t kInt4NL[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
/// Int4NL tries scales by which a group's value of largest magnitude becomes
/// each of first, first + step, ..., last, and the negative of each.
struct ScaleSearch {
  int64_t first = 96, last = 144, step = 8;
};

/// A group as it is stored.
struct QuantisedGroup {
  /// One code an element: its integer plus the format's bias, or E2M1.
  std::array<uint8_t, kGroup> codes;
  /// Bits of the scale and, of int4_min, of the minimum.
  uint32_t scale = 0;
  uint16_t minimum = 0;
};

/// Quantises 32 values, or fewer with zeros behind them. Zeros alone have scale
/// and minimum 0. A value that is not finite makes the whole group not finite.
QuantisedGroup quantise(Format format, ArrayRef<float> values);
/// Quantises a row's groups; of a format with one scale a row, by all of it.
std::vector<QuantisedGroup> quantiseRow(Format format, ArrayRef<float> row);
/// The exact values of a group.
void dequantise(Format format, const QuantisedGroup &group,
                MutableArrayRef<double> values);

/// Writes a row's groups as one lane of a panel.
void storeRow(Format format, ArrayRef<QuantisedGroup> groups, int64_t lane,
              MutableArrayRef<char> panel);

/// f32 -> f16, round to nearest even.
uint16_t toHalf(float value);
double fromHalf(uint16_t bits);

} // namespace mlir::lm

#endif // MOE_DIALECTS_LM_IR_WEIGHTFORMAT_H
