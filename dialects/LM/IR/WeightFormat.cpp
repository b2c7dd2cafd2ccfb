//===- WeightFormat.cpp - What packed numbers are and where they lie ------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/LM/IR/WeightFormat.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/bit.h"

#include <cmath>

using namespace mlir;
using namespace mlir::lm;

bool mlir::lm::isQuantised(Format format) { return format >= Format::Int8; }

bool mlir::lm::hasFloatActivations(Operation *op) {
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  if (!module)
    return false;
  auto format = module->getAttrOfType<FormatAttr>(kActivationsAttr);
  return format && format.getValue() == Format::F32;
}

std::optional<Format> mlir::lm::getFloatFormat(Type element) {
  if (element.isF32())
    return Format::F32;
  if (element.isBF16())
    return Format::BF16;
  if (element.isF16())
    return Format::F16;
  return std::nullopt;
}

Type mlir::lm::getStorageType(Format format, MLIRContext *context) {
  Builder b(context);
  switch (format) {
  case Format::F32:
    return b.getF32Type();
  case Format::BF16:
    return b.getBF16Type();
  case Format::F16:
    return b.getF16Type();
  default:
    return b.getI8Type();
  }
}

std::optional<Format> mlir::lm::getWeightFormat(Value weight) {
  if (auto packed = dyn_cast<PackedType>(weight.getType()))
    return packed.getFormat();
  if (auto argument = dyn_cast<BlockArgument>(weight))
    if (auto function = dyn_cast_or_null<FunctionOpInterface>(
            argument.getOwner()->getParentOp()))
      if (auto format = function.getArgAttrOfType<FormatAttr>(
              argument.getArgNumber(), kFormatAttr))
        return format.getValue();
  return getFloatFormat(getElementTypeOrSelf(weight.getType()));
}

Type mlir::lm::getWeightElement(Type type) {
  auto packed = dyn_cast<PackedType>(type);
  if (!packed)
    return getElementTypeOrSelf(type);
  Format format = packed.isQuantised() ? Format::F32 : packed.getFormat();
  return getStorageType(format, type.getContext());
}

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

QuantisedLayout QuantisedLayout::of(Format format) {
  switch (format) {
  case Format::Int8:
    return {2, 8, 1, 2, 128};
  case Format::Int4:
    return {2, 4, 1, 2, 8};
  case Format::Int4Min:
    return {2, 4, 2, 2, 0};
  case Format::MXFP4:
    return {4, 4, 1, 1, 0, kDoubledE2M1, 2};
  case Format::Int8Channel:
    return {0, 8, 1, 4, 128};
  case Format::Int4NL:
    return {2, 4, 1, 2, 8, kInt4NL};
  default:
    llvm_unreachable("floats have no groups");
  }
}

int64_t QuantisedLayout::mostColumns() const {
  return spansRow() ? INT32_MAX / (127 * 127) : INT64_MAX;
}

int64_t QuantisedLayout::groupLine(int64_t group) const {
  if (spansRow())
    return group * groupLines;
  return group / groups * blockLines() + scaleLines +
         group % groups * groupLines;
}

int64_t QuantisedLayout::scaleLine(int64_t group, int64_t lines) const {
  return spansRow() ? lines - scaleLines : group / groups * blockLines();
}

int64_t QuantisedLayout::linesOf(int64_t columns) const {
  if (spansRow())
    return llvm::divideCeil(columns, kGroup) * groupLines + scaleLines;
  return llvm::divideCeil(columns, groups * kGroup) * blockLines();
}

int64_t QuantisedLayout::paddedColumns(int64_t lines) const {
  if (spansRow())
    return (lines - scaleLines) / groupLines * kGroup;
  return lines / blockLines() * groups * kGroup;
}

/// Writes the group of columns number `number` of one lane of a panel.
static void storeGroup(const QuantisedLayout &layout,
                       const QuantisedGroup &group, int64_t lane,
                       int64_t number, MutableArrayRef<char> panel) {
  char *lines = panel.data() + layout.groupLine(number) * 64 + lane * 4;
  for (int64_t line = 0; line < layout.groupLines; ++line)
    for (int64_t i = 0; i < 4; ++i) {
      const uint8_t *code = group.codes.data() + i;
      lines[line * 64 + i] = layout.isNibbles()
                                 ? code[8 * line] | code[8 * line + 4] << 4
                                 : code[4 * line];
    }
  int64_t place = layout.scalePlace(number) * PackedType::kLanes + lane;
  char *scales = panel.data() +
                 layout.scaleLine(number, panel.size() / 64) * 64 +
                 place * layout.scaleBytes;
  for (int64_t i = 0; i < layout.scaleBytes; ++i)
    scales[i] = group.scale >> (8 * i) & 0xff;
  if (layout.hasMinimum()) {
    scales[64] = group.minimum & 0xff;
    scales[65] = group.minimum >> 8;
  }
}

void mlir::lm::storeRow(Format format, ArrayRef<QuantisedGroup> groups,
                        int64_t lane, MutableArrayRef<char> panel) {
  QuantisedLayout layout = QuantisedLayout::of(format);
  for (auto [number, group] : llvm::enumerate(groups))
    storeGroup(layout, group, lane, number, panel);
}

//===----------------------------------------------------------------------===//
// f16
//===----------------------------------------------------------------------===//

uint16_t mlir::lm::toHalf(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  uint32_t sign = bits & 0x80000000, half;
  bits ^= sign;
  if (bits > 0x7f800000) { // NaN
    half = 0x7e00;
  } else if (bits >= 0x47800000) { // 2^16 and more
    half = 0x7c00;
  } else if (bits < 0x38800000) { // below the smallest normal number
    // Adding 1/2 leaves the bits of the denormal, rounded, in its last place.
    float sum = llvm::bit_cast<float>(bits) + 0.5f;
    half = llvm::bit_cast<uint32_t>(sum) - 0x3f000000;
  } else {
    half = (bits + 0xc8000fff + ((bits >> 13) & 1)) >> 13;
  }
  return half | sign >> 16;
}

double mlir::lm::fromHalf(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
  double value = exponent == 31 ? (fraction ? NAN : INFINITY)
                 : exponent     ? std::ldexp(fraction + 1024, exponent - 25)
                                : std::ldexp(fraction, -24);
  return bits >> 15 ? -value : value;
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

static constexpr uint16_t kHalfNaN = 0x7e00;
static constexpr uint32_t kFloatNaN = 0x7fc00000;

/// The integer nearest to x, |x| < 2^22, ties to even: 1.5 * 2^23 leaves no
/// bits behind the point.
static int32_t nearest(float x) {
  return llvm::bit_cast<int32_t>(x + 12582912.0f) - 0x4b400000;
}

/// Codes of integers in [low, high] nearest to (value - minimum) / scale.
static void divide(ArrayRef<float> values, float minimum, float scale,
                   float low, float high, int32_t bias,
                   std::array<uint8_t, kGroup> &codes) {
  if (scale == 0)
    return;
  for (size_t i = 0; i < values.size(); ++i) {
    float q = (values[i] - minimum) / scale;
    q = q < low ? low : q;
    q = q > high ? high : q;
    codes[i] = nearest(q) + bias;
  }
}

/// Largest magnitude as bits, among which infinity and NaN come last.
static uint32_t largestBits(ArrayRef<float> values) {
  uint32_t most = 0;
  for (float value : values)
    most = std::max(most, llvm::bit_cast<uint32_t>(value) & 0x7fffffff);
  return most;
}

static void quantiseInt8(ArrayRef<float> values, float most,
                         QuantisedGroup &group) {
  group.scale = toHalf(most / 127);
  divide(values, 0, fromHalf(group.scale), -127, 127, 128, group.codes);
}

/// A part of a row whose largest magnitude is `most`.
static void quantiseInt8Channel(ArrayRef<float> values, float most,
                                QuantisedGroup &group) {
  float scale = most / 127;
  group.scale = llvm::bit_cast<uint32_t>(scale);
  divide(values, 0, scale, -127, 127, 128, group.codes);
}

static std::pair<float, float> rangeOf(ArrayRef<float> values) {
  float low = values[0], high = values[0];
  for (float value : values) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  return {low, high};
}

/// The value of largest magnitude, with its sign; of two the negative one.
static float extremeOf(ArrayRef<float> values) {
  auto [low, high] = rangeOf(values);
  return -low >= high ? low : high;
}

/// As Q4_0: the extreme value becomes -8.
static void quantiseInt4(ArrayRef<float> values, QuantisedGroup &group) {
  group.scale = toHalf(extremeOf(values) / -8);
  divide(values, 0, fromHalf(group.scale), -8, 7, 8, group.codes);
}

/// As Q4_1: 0 is the smallest value, 15 the largest.
static void quantiseInt4Min(ArrayRef<float> values, QuantisedGroup &group) {
  auto [low, high] = rangeOf(values);
  group.minimum = toHalf(low + 0.0f); // 0 has no sign
  group.scale = toHalf((high - low) / 15);
  divide(values, fromHalf(group.minimum), fromHalf(group.scale), 0, 15, 0,
         group.codes);
}

/// OCP Microscaling Formats 1.0, 6.3: the shared exponent is that of the
/// largest magnitude less 2, E2M1's own largest; values beyond 6 become 6.
/// Exponent byte 0 is for groups of zeros: kernels read it as the scale 0.
static void quantiseMXFP4(ArrayRef<float> values, float most,
                          QuantisedGroup &group) {
  int exponent = std::clamp(std::ilogb(most) - 2, -126, 127);
  group.scale = exponent + 127;
  double factor = std::ldexp(1.0, -exponent);
  for (auto [i, value] : llvm::enumerate(values)) {
    double x = std::fabs(value) * factor;
    int code = (x > 0.25) + (x >= 0.75) + (x > 1.25) + (x >= 1.75) + (x > 2.5) +
               (x >= 3.5) + (x > 5);
    group.codes[i] = code | (std::signbit(value) && code ? 8 : 0);
  }
}

/// The code whose number is nearest; of two the lower.
static uint8_t nearestInt4NL(float x) {
  uint8_t code = 0;
  for (int i = 0; i < 15; ++i)
    code += x > (kInt4NL[i] + kInt4NL[i + 1]) * 0.5f;
  return code;
}

/// The sum by a tree of halves.
static float treeSum(std::array<float, kGroup> x) {
  for (int64_t half = kGroup / 2; half; half /= 2)
    for (int64_t i = 0; i < half; ++i)
      x[i] += x[i + half];
  return x[0];
}

// Each operation is rounded once, as in IR and in numpy: none may be fused.
#pragma STDC FP_CONTRACT OFF

/// The scale, over the extreme value, of least squared error among those that
/// are tried: of shares y and their integers q it is sum(q * y) / sum(q * q),
/// and takes sum(q * y) times that from the error. Of two the first.
static float findInt4NLScale(const std::array<float, kGroup> &shares) {
  ScaleSearch search;
  float most = 0, best = 0;
  for (int64_t size = search.first; size <= search.last; size += search.step)
    for (float target : {float(size), -float(size)}) {
      std::array<float, kGroup> products, squares;
      for (int64_t i = 0; i < kGroup; ++i) {
        float q = kInt4NL[nearestInt4NL(shares[i] * target)];
        products[i] = q * shares[i];
        squares[i] = q * q;
      }
      float sum = treeSum(products), scale = sum / treeSum(squares);
      float gain = sum * scale;
      if (gain > most) {
        most = gain;
        best = scale;
      }
    }
  return best;
}

static void quantiseInt4NL(ArrayRef<float> values, QuantisedGroup &group) {
  float extreme = extremeOf(values);
  std::array<float, kGroup> shares;
  for (auto [share, value] : llvm::zip(shares, values))
    share = value / extreme;
  group.scale = toHalf(findInt4NLScale(shares) * extreme);
  float scale = fromHalf(group.scale);
  if (scale == 0)
    return;
  for (auto [code, value] : llvm::zip(group.codes, values))
    code = nearestInt4NL(value / scale);
}

/// The scale of what is not finite.
static uint32_t noScale(Format format) {
  switch (format) {
  case Format::MXFP4:
    return 255;
  case Format::Int8Channel:
    return kFloatNaN;
  default:
    return kHalfNaN;
  }
}

/// `bits`: the largest magnitude of what has the group's scale.
static QuantisedGroup quantise(Format format, ArrayRef<float> given,
                               uint32_t bits) {
  std::array<float, kGroup> values = {};
  llvm::copy(given, values.begin());
  QuantisedGroup group;
  group.codes.fill(QuantisedLayout::of(format).bias);
  if (bits == 0)
    return group;
  if (bits >= 0x7f800000) {
    group.scale = noScale(format);
    return group;
  }
  float most = llvm::bit_cast<float>(bits);
  switch (format) {
  case Format::Int8:
    quantiseInt8(values, most, group);
    break;
  case Format::Int4:
    quantiseInt4(values, group);
    break;
  case Format::Int4Min:
    quantiseInt4Min(values, group);
    break;
  case Format::MXFP4:
    quantiseMXFP4(values, most, group);
    break;
  case Format::Int8Channel:
    quantiseInt8Channel(values, most, group);
    break;
  case Format::Int4NL:
    quantiseInt4NL(values, group);
    break;
  default:
    llvm_unreachable("floats have no groups");
  }
  return group;
}

QuantisedGroup mlir::lm::quantise(Format format, ArrayRef<float> values) {
  return ::quantise(format, values, largestBits(values));
}

std::vector<QuantisedGroup> mlir::lm::quantiseRow(Format format,
                                                  ArrayRef<float> row) {
  bool spansRow = QuantisedLayout::of(format).spansRow();
  uint32_t largest = largestBits(row);
  std::vector<QuantisedGroup> groups;
  for (size_t k = 0; k < row.size(); k += kGroup) {
    ArrayRef<float> part = row.slice(k).take_front(kGroup);
    groups.push_back(
        ::quantise(format, part, spansRow ? largest : largestBits(part)));
  }
  return groups;
}

/// 2^(byte - 127); see quantiseMXFP4 of 0. 255 is no number.
static double fromE8M0(uint16_t byte) {
  return byte == 255 ? NAN : byte ? std::ldexp(1.0, byte - 127) : 0;
}

/// What integers are multiplied by, but for the format's fraction.
static double stepOf(Format format, uint32_t scale) {
  switch (format) {
  case Format::MXFP4:
    return fromE8M0(scale);
  case Format::Int8Channel:
    return llvm::bit_cast<float>(scale);
  default:
    return fromHalf(scale);
  }
}

void mlir::lm::dequantise(Format format, const QuantisedGroup &group,
                          MutableArrayRef<double> values) {
  QuantisedLayout layout = QuantisedLayout::of(format);
  double scale = stepOf(format, group.scale) / layout.fraction;
  double minimum = fromHalf(group.minimum);
  for (auto [value, code] : llvm::zip(values, group.codes)) {
    int integer = code - layout.bias;
    if (layout.isTable())
      integer = layout.table[code];
    value = integer * scale + minimum;
  }
}
