//===- Frame.cpp - Values of one call of a function -----------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Frame.h"
#include "Quantise.h"

#include "dialects/LM/IR/WeightFormat.h"
#include "dialects/MoE/IR/MoEDialect.h"

using namespace mlir;
using namespace moec::reference;

const RuntimeValue &Frame::get(Value value) const {
  auto found = values.find(value);
  assert(found != values.end() && "an op ran before its operands");
  return found->second;
}

const Tensor &Frame::tensor(Value value) const {
  return *std::get<std::shared_ptr<const Tensor>>(get(value));
}

const Tensor *Frame::optionalTensor(Value value) const {
  return value ? &tensor(value) : nullptr;
}

const Plan &Frame::plan(Value value) const {
  return *std::get<std::shared_ptr<const Plan>>(get(value));
}

Cache &Frame::cache(Value value) const {
  return *std::get<std::shared_ptr<Cache>>(get(value));
}

int64_t Frame::index(Value value) const {
  return std::get<int64_t>(get(value));
}

Tensor Frame::makeResult(Value result, int64_t rows) {
  auto type = cast<RankedTensorType>(result.getType());
  SmallVector<int64_t> shape(type.getShape());
  if (!shape.empty())
    shape[0] = rows;
  return Tensor(*getElement(type.getElementType()), shape);
}

void Frame::set(Value result, Tensor tensor) {
  tensor.round();
  values[result] = makeValue(std::move(tensor));
}

void Frame::set(Value result, Plan plan) {
  values[result] = std::make_shared<const Plan>(std::move(plan));
}

void Frame::set(Value result, RuntimeValue value) {
  values[result] = std::move(value);
}

/// The quantised format of a packed type.
static std::optional<lm::Format> getFormat(Type type) {
  auto packed = dyn_cast<lm::PackedType>(type);
  return packed ? std::optional(packed.getFormat()) : std::nullopt;
}

void Frame::setArgument(BlockArgument argument, RuntimeValue value) {
  if (const Tensor *tensor = getTensor(value))
    if (auto format = lm::getWeightFormat(argument);
        format && lm::isQuantised(*format))
      value = makeValue(
          quantiseWeight(*tensor, format, lm::hasFloatActivations(function)));
  values[argument] = std::move(value);
}

FailureOr<RuntimeValue> Frame::weight(Operation *op, StringRef name,
                                      Type type) {
  RuntimeValue &known = machine.weights[name];
  if (getTensor(known))
    return known;
  if (!machine.options.weightSource)
    return op->emitOpError("reads weight @")
           << name << ", but no weights were given";
  Type elementType = lm::getWeightElement(type);
  ArrayRef<int64_t> shape = lm::getWeightShape(type);
  llvm::Expected<Tensor> tensor =
      machine.options.weightSource(name, *getElement(elementType), shape);
  if (!tensor)
    return op->emitOpError("reads weight @")
           << name << ": " << llvm::toString(tensor.takeError());
  if (ArrayRef<int64_t>(tensor->shape) != shape)
    return op->emitOpError("reads weight @")
           << name << " of type " << type << ", but was given "
           << tensor->getTypeName();
  known = makeValue(
      quantiseWeight(*tensor, getFormat(type), lm::hasFloatActivations(op)));
  return known;
}

std::shared_ptr<Cache> Frame::layerCache(int64_t layer, Type type) {
  std::shared_ptr<Cache> &cache = machine.caches[layer];
  if (!cache) {
    auto state = cast<lm::StateType>(type);
    cache = std::make_shared<Cache>(state);
  }
  return cache;
}

void Frame::record(RoutingRecord record) {
  machine.records.push_back(std::move(record));
}

/// Whether a half's element type is one of those of a cache.
static bool mayHold(lm::StateType state, const CacheHalf &half) {
  for (unsigned i = 0; i < state.getElementTypes().size(); ++i)
    if (Cache(state, i).keys.hasTypeOf(half))
      return true;
  return false;
}

LogicalResult moec::reference::checkType(
    const RuntimeValue &value, Type type,
    llvm::function_ref<InFlightDiagnostic()> emitError) {
  if (type.isIndex() && std::holds_alternative<int64_t>(value))
    return success();
  if (isa<mlir::moe::PlanType>(type) &&
      std::holds_alternative<std::shared_ptr<const Plan>>(value))
    return success();
  if (auto state = dyn_cast<lm::StateType>(type))
    if (auto *cache = std::get_if<std::shared_ptr<Cache>>(&value))
      if ((*cache)->heads == state.getHeads() &&
          (*cache)->headDim == state.getHeadDim() &&
          mayHold(state, (*cache)->keys) && mayHold(state, (*cache)->values))
        return success();
  const Tensor *tensor = getTensor(value);
  if (!tensor)
    return emitError() << "expected a value of type " << type;
  ArrayRef<int64_t> shape = isa<lm::PackedType>(type)
                                ? lm::getWeightShape(type)
                                : cast<ShapedType>(type).getShape();
  bool fits = (tensor->format ||
               getElement(lm::getWeightElement(type)) == tensor->element) &&
              shape.size() == tensor->shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i)
    fits = ShapedType::isDynamic(shape[i]) || shape[i] == tensor->shape[i];
  if (!fits)
    return emitError() << "expected a value of type " << type << ", got "
                       << tensor->getTypeName();
  return success();
}
