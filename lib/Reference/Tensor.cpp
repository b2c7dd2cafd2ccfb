//===- Tensor.cpp - The interpreter's tensors -----------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Reference/Tensor.h"

#include "mlir/IR/BuiltinTypes.h"

#include <cassert>
#include <cmath>

using namespace mlir;
using namespace moec::reference;

std::optional<Element> moec::reference::getElement(Type type) {
  if (type.isF64())
    return Element::F64;
  if (type.isF32())
    return Element::F32;
  if (type.isBF16())
    return Element::BF16;
  if (type.isF16())
    return Element::F16;
  if (type.isInteger(32))
    return Element::I32;
  return std::nullopt;
}

llvm::StringRef moec::reference::getName(Element element) {
  static constexpr llvm::StringLiteral names[] = {"f64", "f32", "bf16", "f16",
                                                  "i32"};
  return names[static_cast<int>(element)];
}

std::optional<Element> moec::reference::getElement(llvm::StringRef name) {
  for (Element element : {Element::F64, Element::F32, Element::BF16,
                          Element::F16, Element::I32})
    if (getName(element) == name)
      return element;
  return std::nullopt;
}

/// Rounds to `precision` significant bits (the hidden one included) without
/// going below 2^minExponent for the leading one; the largest finite number
/// is `largest`. Straight from f64: by way of f32 it would round twice.
static double roundToFormat(double value, int precision, int minExponent,
                            double largest) {
  if (value == 0 || !std::isfinite(value))
    return value;
  int exponent = std::max(std::ilogb(value), minExponent);
  int quantum = exponent - (precision - 1);
  double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -quantum)),
                              quantum);
  if (std::abs(rounded) > largest)
    return std::copysign(std::numeric_limits<double>::infinity(), value);
  return rounded;
}

double moec::reference::roundTo(Element element, double value) {
  switch (element) {
  case Element::F64:
  case Element::I32:
    return value;
  case Element::F32:
    return static_cast<float>(value);
  case Element::BF16:
    return roundToFormat(value, 8, -126, std::ldexp(255.0, 120));
  case Element::F16:
    return roundToFormat(value, 11, -14, 65504.0);
  }
  llvm_unreachable("unknown element");
}

int64_t moec::reference::countElements(llvm::ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape)
    count *= dim;
  return count;
}

Tensor::Tensor(Element element, llvm::ArrayRef<int64_t> shape)
    : element(element), shape(shape.begin(), shape.end()),
      data(countElements(shape), 0.0) {}

Tensor::Tensor(Element element, llvm::ArrayRef<int64_t> shape,
               std::vector<double> data)
    : element(element), shape(shape.begin(), shape.end()),
      data(std::move(data)) {
  assert(int64_t(this->data.size()) == countElements(shape));
  round();
}

void Tensor::round() {
  for (double &value : data)
    value = roundTo(element, value);
}

std::string Tensor::getTypeName() const {
  std::string name;
  for (int64_t dim : shape)
    name += std::to_string(dim) + "x";
  return name + getName(element).str();
}
