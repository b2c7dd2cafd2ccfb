//===- RuntimeValue.h - What a value of the IR stands for -------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_REFERENCE_RUNTIMEVALUE_H
#define MOE_REFERENCE_RUNTIMEVALUE_H

#include "dialects/LM/IR/LMDialect.h"
#include "moe/Reference/Tensor.h"

#include <memory>
#include <variant>

namespace moec::reference {

/// Where each (token, slot) goes: rows grouped by expert.
struct Plan {
  int64_t experts = 0, slots = 0, tokens = 0;
  /// Rows of expert e are offsets[e] .. offsets[e + 1] - 1.
  std::vector<int64_t> offsets;
  /// Row -> token * slots + slot.
  std::vector<int64_t> choice;
  /// token * slots + slot -> row, or -1 where a choice has none.
  std::vector<int64_t> row;

  int64_t tokenOf(int64_t r) const { return choice[r] / slots; }
};

/// Keys and values of one layer, [position][head][element]. Grows as it is
/// written; what was never written is 0.
struct Cache {
  /// F32 where the cache is quantised: what its elements read back as.
  Element element = Element::F32;
  int64_t heads = 0, headDim = 0;
  /// q8_0 (see !lm.state).
  bool isQuantised = false;
  std::vector<double> keys, values;

  Cache(Element element, int64_t heads, int64_t headDim,
        bool isQuantised = false)
      : element(element), heads(heads), headDim(headDim),
        isQuantised(isQuantised) {}
  explicit Cache(mlir::lm::StateType type);
  int64_t width() const { return heads * headDim; }
  void growTo(int64_t positions);
};

/// A tensor, an index, a plan or a KV cache. Tensors are shared and immutable.
using RuntimeValue =
    std::variant<std::monostate, std::shared_ptr<const Tensor>, int64_t,
                 std::shared_ptr<const Plan>, std::shared_ptr<Cache>>;

inline RuntimeValue makeValue(Tensor tensor) {
  return std::make_shared<const Tensor>(std::move(tensor));
}
/// The tensor of a value, or null.
const Tensor *getTensor(const RuntimeValue &value);

} // namespace moec::reference

#endif // MOE_REFERENCE_RUNTIMEVALUE_H
