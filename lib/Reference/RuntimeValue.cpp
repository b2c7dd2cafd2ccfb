//===- RuntimeValue.cpp - What a value of the IR stands for ---------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Reference/RuntimeValue.h"

using namespace moec::reference;

static CacheHalf makeHalf(mlir::Type type) {
  return {getElement(type).value_or(Element::F32),
          mlir::lm::StateType::isQuantised(type),
          {}};
}

Cache::Cache(mlir::lm::StateType type, unsigned keyType, unsigned valueType)
    : heads(type.getHeads()), headDim(type.getHeadDim()),
      keys(makeHalf(type.getElementTypes()[keyType])),
      values(makeHalf(type.getElementTypes()[valueType])) {}

void Cache::growTo(int64_t positions) {
  size_t size = positions * width();
  for (CacheHalf *half : {&keys, &values})
    if (half->data.size() < size)
      half->data.resize(size, 0.0);
}

const Tensor *moec::reference::getTensor(const RuntimeValue &value) {
  auto *tensor = std::get_if<std::shared_ptr<const Tensor>>(&value);
  return tensor ? tensor->get() : nullptr;
}
