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

/// Keys or values of one layer, [position][head][element].
struct CacheHalf {
  /// F32 where the half is quantised: what its elements read back as.
  Element element = Element::F32;
  /// q8_0 (see !lm.state).
  bool isQuantised = false;
  std::vector<double> data;

  bool hasTypeOf(const CacheHalf &other) const {
    return element == other.element && isQuantised == other.isQuantised;
  }
};

/// Keys and values of one layer. Grows as it is written; what was never written
/// is 0.
struct Cache {
  int64_t heads = 0, headDim = 0;
  CacheHalf keys, values;

  Cache(Element element, int64_t heads, int64_t headDim)
      : heads(heads), headDim(headDim), keys{element, false, {}},
        values{element, false, {}} {}
  /// Of keys and values of those numbers among the type's element types.
  explicit Cache(mlir::lm::StateType type, unsigned keyType = 0,
                 unsigned valueType = 0);
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
