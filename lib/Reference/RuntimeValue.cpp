//===- RuntimeValue.cpp - What a value of the IR stands for ---------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Reference/RuntimeValue.h"

using namespace moec::reference;

Cache::Cache(mlir::lm::StateType type)
    : Cache(getElement(type.getElementType()).value_or(Element::F32),
            type.getHeads(), type.getHeadDim(), type.isQuantised()) {}

void Cache::growTo(int64_t positions) {
  size_t size = positions * width();
  if (keys.size() >= size)
    return;
  keys.resize(size, 0.0);
  values.resize(size, 0.0);
}

const Tensor *moec::reference::getTensor(const RuntimeValue &value) {
  auto *tensor = std::get_if<std::shared_ptr<const Tensor>>(&value);
  return tensor ? tensor->get() : nullptr;
}
