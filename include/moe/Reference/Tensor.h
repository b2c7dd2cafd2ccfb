//===- Tensor.h - The interpreter's tensors ---------------------*- C++ -*-===//
//
// Part of moe-mlir. A tensor holds doubles that are numbers of its element
// type: whoever computes one rounds it once, with `round`.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_REFERENCE_TENSOR_H
#define MOE_REFERENCE_TENSOR_H

#include "dialects/LM/IR/LMDialect.h"
#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moec::reference {

enum class Element { F64, F32, BF16, F16, I32 };

/// The element type that stands for an MLIR type, if there is one.
std::optional<Element> getElement(mlir::Type type);
/// `f32`, `bf16` and so on, as in MLIR.
llvm::StringRef getName(Element element);
std::optional<Element> getElement(llvm::StringRef name);

/// The nearest number of the type, ties to even; overflow gives infinity.
double roundTo(Element element, double value);

/// A dense row-major tensor of any rank.
struct Tensor {
  Element element = Element::F32;
  std::vector<int64_t> shape;
  std::vector<double> data;
  /// Of a weight in a quantised format: products with it read quantised rows,
  /// unless it `readsFloats`.
  std::optional<mlir::lm::Format> format;
  /// Of such a weight, whose numbers are f32 then, else f64.
  bool readsFloats = false;

  Tensor() = default;
  /// Zeros.
  Tensor(Element element, llvm::ArrayRef<int64_t> shape);
  Tensor(Element element, llvm::ArrayRef<int64_t> shape,
         std::vector<double> data);

  int64_t rows() const { return shape.front(); }
  int64_t columns() const { return shape.back(); }

  double operator[](int64_t i) const { return data[i]; }
  double &operator[](int64_t i) { return data[i]; }
  double at(int64_t i, int64_t j) const { return data[i * columns() + j]; }
  double &at(int64_t i, int64_t j) { return data[i * columns() + j]; }
  double at(int64_t e, int64_t i, int64_t j) const {
    return data[(e * shape[1] + i) * columns() + j];
  }

  /// Rounds every element to the element type.
  void round();
  /// `3x64xf32`.
  std::string getTypeName() const;
};

/// The number of elements of a shape.
int64_t countElements(llvm::ArrayRef<int64_t> shape);

} // namespace moec::reference

#endif // MOE_REFERENCE_TENSOR_H
