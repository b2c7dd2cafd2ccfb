//===- LMTypes.cpp - Types of the lm dialect ------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/LM/IR/WeightFormat.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lm;

#define GET_ATTRDEF_CLASSES
#include "dialects/LM/IR/LMAttributes.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/LM/IR/LMTypes.cpp.inc"

void LMDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/LM/IR/LMTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/LM/IR/LMAttributes.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// PackedType
//===----------------------------------------------------------------------===//

int64_t PackedType::getExperts() const {
  return getShape().size() == 3 ? getShape()[0] : 1;
}

int64_t PackedType::getRows() const {
  ArrayRef<int64_t> shape = getShape();
  return shape.size() == 1 ? shape[0] : shape[shape.size() - 2];
}

int64_t PackedType::getColumns() const {
  return getShape().size() == 1 ? 1 : getShape().back();
}

int64_t PackedType::getPanels() const {
  // Each half of a paired matrix is padded on its own.
  if (getLayout() == Layout::PairedPanel)
    return 2 * llvm::divideCeil(getRows() / 2, kLanes);
  return llvm::alignTo(llvm::divideCeil(getRows(), kLanes), 2);
}

bool PackedType::isQuantised() const { return lm::isQuantised(getFormat()); }

Type PackedType::getStorageType() const {
  return lm::getStorageType(getFormat(), getContext());
}

int64_t PackedType::getLines() const {
  if (isQuantised())
    return QuantisedLayout::of(getFormat()).linesOf(getColumns());
  return getStorageType().getIntOrFloatBitWidth() == 16
             ? llvm::divideCeil(getColumns(), 2)
             : getColumns();
}

int64_t PackedType::getMatrixBytes() const {
  if (getLayout() == Layout::RowMajor)
    return getRows() * getColumns() *
           (getStorageType().getIntOrFloatBitWidth() / 8);
  return getPanels() * getLines() * 64;
}

int64_t PackedType::getBytes() const { return getExperts() * getMatrixBytes(); }

LogicalResult PackedType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> shape, Format format,
                                 Layout layout) {
  if (shape.empty() || shape.size() > 3)
    return emitError() << "packed weight: expected 1 to 3 dimensions, got "
                       << shape.size();
  for (int64_t dim : shape)
    if (dim <= 0)
      return emitError() << "packed weight: dimensions must be positive";
  if (layout == Layout::RowMajor && lm::isQuantised(format))
    return emitError() << "packed weight: format " << stringifyFormat(format)
                       << " lies in panels only, got row_major";
  if (lm::isQuantised(format) &&
      shape.back() > QuantisedLayout::of(format).mostColumns())
    return emitError() << "packed weight: format " << stringifyFormat(format)
                       << " has at most "
                       << QuantisedLayout::of(format).mostColumns()
                       << " columns, got " << shape.back();
  if (layout != Layout::RowMajor && shape.size() < 2)
    return emitError() << "packed weight: layout " << stringifyLayout(layout)
                       << " needs a matrix";
  if (layout == Layout::PairedPanel && shape[shape.size() - 2] % 2)
    return emitError() << "packed weight: paired_panel needs an even number of "
                          "rows, got "
                       << shape[shape.size() - 2];
  return success();
}

Type PackedType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  StringRef formatName, keyword;
  SMLoc loc = parser.getCurrentLocation(), formatLoc, keywordLoc;
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.getCurrentLocation(&formatLoc) ||
      parser.parseKeyword(&formatName) || parser.parseComma() ||
      parser.getCurrentLocation(&keywordLoc) || parser.parseKeyword(&keyword) ||
      parser.parseGreater())
    return {};
  std::optional<Format> format = symbolizeFormat(formatName);
  if (!format) {
    parser.emitError(formatLoc, "expected a format: f32, bf16, f16, int8, "
                                "int4, int4_min, mxfp4, int4_nl or "
                                "int8_channel, "
                                "got ")
        << formatName;
    return {};
  }
  std::optional<Layout> layout = symbolizeLayout(keyword);
  if (!layout) {
    parser.emitError(keywordLoc, "expected a layout: row_major, panel or "
                                 "paired_panel, got ")
        << keyword;
    return {};
  }
  return parser.getChecked<PackedType>(loc, parser.getContext(), shape,
                                       *format, *layout);
}

void PackedType::print(AsmPrinter &printer) const {
  printer << '<';
  printer.printDimensionList(getShape());
  printer << 'x' << stringifyFormat(getFormat()) << ", "
          << stringifyLayout(getLayout()) << '>';
}

//===----------------------------------------------------------------------===//
// StateType
//===----------------------------------------------------------------------===//

int64_t StateType::getRowBytes(Type elementType) const {
  return getPaddedHeadDim() * getElementBytes(elementType) +
         getScaleBytes(elementType);
}

int64_t StateType::getPaddedHeadDim() const {
  return llvm::alignTo(getHeadDim(), 4);
}

int64_t StateType::getBytesPerPosition() const {
  return 2 * getHeads() * getRowBytes(getDefaultType());
}

LogicalResult StateType::verify(function_ref<InFlightDiagnostic()> emitError,
                                int64_t heads, int64_t headDim,
                                ArrayRef<Type> elementTypes) {
  if (heads <= 0 || headDim <= 0)
    return emitError() << "state: heads and head size must be positive";
  if (elementTypes.empty())
    return emitError() << "state: expected an element type";
  for (auto [i, type] : llvm::enumerate(elementTypes)) {
    if (!type.isF32() && !type.isBF16() && !type.isF16() && !type.isInteger(8))
      return emitError() << "state: element type must be f32, bf16, f16 or i8, "
                            "got "
                         << type;
    if (llvm::is_contained(elementTypes.take_front(i), type))
      return emitError() << "state: element type " << type << " comes twice";
  }
  return success();
}

Type StateType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  SmallVector<Type> elementTypes;
  SMLoc loc = parser.getCurrentLocation();
  auto parseElement = [&] {
    return parser.parseType(elementTypes.emplace_back());
  };
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false))
    return {};
  if (succeeded(parser.parseOptionalLParen())) {
    if (parser.parseCommaSeparatedList(parseElement) || parser.parseRParen())
      return {};
  } else if (parseElement()) {
    return {};
  }
  if (parser.parseGreater())
    return {};
  if (shape.size() != 2) {
    parser.emitError(loc, "state: expected HEADSxSIZExTYPE");
    return {};
  }
  return parser.getChecked<StateType>(loc, parser.getContext(), shape[0],
                                      shape[1], elementTypes);
}

void StateType::print(AsmPrinter &printer) const {
  printer << '<' << getHeads() << 'x' << getHeadDim() << 'x';
  if (!isChosen()) {
    printer << getDefaultType() << '>';
    return;
  }
  printer << '(';
  llvm::interleaveComma(getElementTypes(), printer);
  printer << ")>";
}

ArrayRef<int64_t> mlir::lm::getWeightShape(Type type) {
  if (auto packed = dyn_cast<PackedType>(type))
    return packed.getShape();
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor.getShape();
  return {};
}

MemRefType mlir::lm::getPackedBufferType(PackedType type) {
  if (type.getLayout() == Layout::RowMajor)
    return MemRefType::get(type.getShape(), type.getStorageType());
  int64_t width = 64 * 8 / type.getStorageType().getIntOrFloatBitWidth();
  return MemRefType::get(
      {type.getExperts(), type.getPanels(), type.getLines(), width},
      type.getStorageType());
}
