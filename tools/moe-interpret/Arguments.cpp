//===- Arguments.cpp - Values from the command line -----------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Arguments.h"
#include "moe/Reference/RandomTensor.h"
#include "moe/Reference/TensorFile.h"

#include "dialects/LM/IR/WeightFormat.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace moec::reference;

static llvm::Error badArgument(StringRef text, const llvm::Twine &what) {
  return llvm::createStringError("'" + text + "': " + what);
}

static bool parseSizes(StringRef text, SmallVectorImpl<int64_t> &sizes) {
  SmallVector<StringRef> parts;
  text.split(parts, 'x');
  for (StringRef part : parts) {
    int64_t size;
    if (part.getAsInteger(10, size) || size < 0)
      return false;
    sizes.push_back(size);
  }
  return true;
}

static llvm::Expected<RuntimeValue> parseRandom(StringRef text,
                                                ArrayRef<int64_t> declared,
                                                Element element) {
  SmallVector<StringRef> parts;
  text.split(parts, ':');
  uint64_t seed;
  if (parts.size() < 2 || parts.size() > 4 || parts[1].getAsInteger(10, seed))
    return badArgument(text, "expected random:SEED[:SHAPE[:TYPE]]");
  SmallVector<int64_t> shape(declared);
  if (parts.size() > 2) {
    shape.clear();
    if (!parseSizes(parts[2], shape))
      return badArgument(text, "bad shape '" + parts[2] + "'");
  }
  if (llvm::any_of(shape, ShapedType::isDynamic))
    return badArgument(text, "the argument has dynamic sizes: give a shape, "
                             "as in random:1:3x64");
  if (parts.size() > 3) {
    std::optional<Element> given = getElement(parts[3]);
    if (!given)
      return badArgument(text, "unknown element type '" + parts[3] + "'");
    element = *given;
  }
  return makeValue(makeRandomTensor(seed, element, shape));
}

static llvm::Expected<RuntimeValue> parseCache(StringRef text,
                                               lm::StateType type) {
  auto cache = std::make_shared<Cache>(type);
  if (text == "zero")
    return RuntimeValue(cache);
  llvm::Expected<Tensor> tensor = readTensor(text, cache->keys.element);
  if (!tensor)
    return tensor.takeError();
  const std::vector<int64_t> &shape = tensor->shape;
  if (shape.size() != 4 || shape[0] != 2 || shape[2] != cache->heads ||
      shape[3] != cache->headDim)
    return badArgument(text, "a cache needs 2 x positions x " +
                                 llvm::Twine(cache->heads) + " x " +
                                 llvm::Twine(cache->headDim) + ", got " +
                                 tensor->getTypeName());
  auto middle = tensor->data.begin() + tensor->data.size() / 2;
  cache->keys.data.assign(tensor->data.begin(), middle);
  cache->values.data.assign(middle, tensor->data.end());
  return RuntimeValue(cache);
}

llvm::Expected<RuntimeValue>
moec::reference::parseArgument(StringRef text, Type type) {
  if (type.isIndex()) {
    int64_t number;
    if (text.getAsInteger(10, number))
      return badArgument(text, "expected an integer");
    return RuntimeValue(number);
  }
  if (auto state = dyn_cast<lm::StateType>(type))
    return parseCache(text, state);
  std::optional<Element> element = getElement(lm::getWeightElement(type));
  if (!element)
    return badArgument(text, "cannot stand for an argument of this type");
  if (text.starts_with("random:"))
    return parseRandom(text, lm::getWeightShape(type), *element);
  llvm::Expected<Tensor> tensor = readTensor(text, *element);
  if (!tensor)
    return tensor.takeError();
  return makeValue(std::move(*tensor));
}

llvm::Expected<Tensor>
moec::reference::makeWeight(StringRef source, StringRef name, Element element,
                            ArrayRef<int64_t> shape) {
  StringRef number = source;
  if (!number.consume_front("random:"))
    return readTensor((source + "/" + name + ".npy").str(), element);
  uint64_t seed;
  if (number.getAsInteger(10, seed))
    return badArgument(source, "expected random:SEED");
  return makeRandomWeight(seed, name, element, shape);
}

Tensor moec::reference::cacheToTensor(const Cache &cache) {
  int64_t positions = cache.keys.data.size() / cache.width();
  std::vector<double> data = cache.keys.data;
  llvm::append_range(data, cache.values.data);
  return Tensor(cache.keys.element, {2, positions, cache.heads, cache.headDim},
                std::move(data));
}
