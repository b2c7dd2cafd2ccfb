//===- PackedBytes.cpp - Tensors as compiled code reads them --------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "PackedBytes.h"

#include "dialects/LM/IR/WeightFormat.h"

#include "llvm/ADT/APFloat.h"

#include <cstring>

using namespace moec;
using namespace moec::reference;
using mlir::lm::Layout;
using mlir::lm::PackedType;

static const llvm::fltSemantics &semanticsOf(Element element) {
  return element == Element::BF16 ? llvm::APFloat::BFloat()
                                  : llvm::APFloat::IEEEhalf();
}

int64_t test::bytesOf(Element element) {
  switch (element) {
  case Element::F64:
    return 8;
  case Element::F32:
  case Element::I32:
    return 4;
  case Element::BF16:
  case Element::F16:
    return 2;
  }
  llvm_unreachable("unknown element");
}

template <typename T>
static void put(T value, char *at) {
  std::memcpy(at, &value, sizeof(T));
}

template <typename T>
static double get(const char *at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

void test::store(Element element, double value, char *at) {
  if (element == Element::F64)
    return put(value, at);
  if (element == Element::F32)
    return put(float(value), at);
  if (element == Element::I32)
    return put(int32_t(value), at);
  llvm::APFloat half(value);
  bool lost;
  half.convert(semanticsOf(element), llvm::APFloat::rmNearestTiesToEven, &lost);
  put(uint16_t(half.bitcastToAPInt().getZExtValue()), at);
}

double test::load(Element element, const char *at) {
  if (element == Element::F64)
    return get<double>(at);
  if (element == Element::F32)
    return get<float>(at);
  if (element == Element::I32)
    return get<int32_t>(at);
  uint64_t bits = get<uint16_t>(at);
  return llvm::APFloat(semanticsOf(element), llvm::APInt(16, bits))
      .convertToDouble();
}

test::Bytes test::toBytes(const Tensor &tensor) {
  int64_t width = bytesOf(tensor.element);
  Bytes bytes(tensor.data.size() * width);
  for (size_t i = 0; i < tensor.data.size(); ++i)
    store(tensor.element, tensor.data[i], &bytes[i * width]);
  return bytes;
}

/// Panel and lane of row n: 16 rows a panel; of a paired weight, gate and up
/// panels alternate.
static std::pair<int64_t, int64_t> panelAndLane(PackedType type, int64_t n) {
  if (type.getLayout() == Layout::Panel)
    return {n / 16, n % 16};
  int64_t width = type.getRows() / 2;
  bool isUp = n >= width;
  int64_t column = isUp ? n - width : n;
  return {2 * (column / 16) + isUp, column % 16};
}

/// Groups of 32 columns of every row, zeros behind the last one.
static test::Bytes packQuantised(const Tensor &weight, PackedType type) {
  test::Bytes bytes(type.getBytes(), 0);
  int64_t rows = type.getRows(), columns = type.getColumns();
  for (int64_t e = 0; e < type.getExperts(); ++e)
    for (int64_t n = 0; n < rows; ++n) {
      auto [panel, lane] = panelAndLane(type, n);
      const double *first = &weight.data[(e * rows + n) * columns];
      int64_t size = type.getLines() * 64;
      mlir::lm::storeRow(
          type.getFormat(),
          mlir::lm::quantiseRow(type.getFormat(),
                                std::vector<float>(first, first + columns)),
          lane,
          llvm::MutableArrayRef<char>(bytes).slice(
              e * type.getMatrixBytes() + panel * size, size));
    }
  return bytes;
}

test::Bytes test::pack(const Tensor &weight, PackedType type) {
  if (type.isQuantised())
    return packQuantised(weight, type);
  if (type.getLayout() == Layout::RowMajor)
    return toBytes(weight);
  int64_t width = bytesOf(weight.element), perStep = 4 / width;
  int64_t rows = type.getRows(), columns = type.getColumns();
  Bytes bytes(type.getBytes(), 0);
  for (int64_t e = 0; e < type.getExperts(); ++e)
    for (int64_t n = 0; n < rows; ++n)
      for (int64_t k = 0; k < columns; ++k) {
        auto [panel, lane] = panelAndLane(type, n);
        int64_t line = panel * type.getLines() + k / perStep;
        int64_t at = e * type.getMatrixBytes() + line * 64 + lane * 4 +
                     k % perStep * width;
        store(weight.element, weight[(e * rows + n) * columns + k],
              &bytes[at]);
      }
  return bytes;
}
