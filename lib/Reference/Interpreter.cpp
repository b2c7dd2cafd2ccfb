//===- Interpreter.cpp - Walks functions, op by op ------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"
#include "Quantise.h"

#include "dialects/LM/IR/WeightFormat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moec::reference;

Interpreter::Interpreter(ModuleOp module, InterpreterOptions options)
    : module(module), options(std::move(options)) {}

FailureOr<std::vector<RuntimeValue>>
Interpreter::run(StringRef name, std::vector<RuntimeValue> arguments) {
  auto function = module.lookupSymbol<func::FuncOp>(name);
  if (!function)
    return module.emitError("no function @") << name;
  if (function.isExternal())
    return function.emitOpError("has no body");
  if (arguments.size() != function.getNumArguments())
    return function.emitOpError("takes ")
           << function.getNumArguments() << " arguments, got "
           << arguments.size();
  for (auto [i, argument] : llvm::enumerate(arguments))
    if (failed(checkType(argument, function.getArgumentTypes()[i], [&] {
          return function.emitOpError("argument ") << i << ": ";
        })))
      return failure();
  records.clear();
  return Frame(*this, function, name.str()).run(std::move(arguments));
}

//===----------------------------------------------------------------------===//
// Ops of other dialects, weights and state
//===----------------------------------------------------------------------===//

static LogicalResult evaluate(arith::ConstantOp op, Frame &frame) {
  if (auto number = dyn_cast<IntegerAttr>(op.getValue()))
    if (op.getType().isIndex())
      return frame.set(op.getResult(), RuntimeValue(number.getInt())),
             success();
  auto dense = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!dense)
    return op.emitOpError("the interpreter knows index and tensor constants "
                          "only, got ")
           << op.getType();
  Tensor result(*getElement(dense.getElementType()),
                dense.getType().getShape());
  if (result.element == Element::I32)
    for (auto [i, value] : llvm::enumerate(dense.getValues<APInt>()))
      result[i] = value.getSExtValue();
  else
    for (auto [i, value] : llvm::enumerate(dense.getValues<APFloat>()))
      result[i] = value.convertToDouble();
  frame.set(op.getResult(), std::move(result));
  return success();
}

static LogicalResult evaluate(lm::WeightOp op, Frame &frame) {
  FailureOr<RuntimeValue> weight =
      frame.weight(op, op.getName(), op.getType());
  if (failed(weight))
    return failure();
  frame.set(op.getResult(), *weight);
  return success();
}

static LogicalResult evaluate(lm::LayerStateOp op, Frame &frame) {
  frame.set(op.getResult(), RuntimeValue(frame.layerCache(
                                op.getLayer(), op.getResult().getType())));
  return success();
}

/// A packed weight is its numbers: layout is not a matter of meaning.
static LogicalResult evaluate(mlir::moe::PackOp op, Frame &frame) {
  frame.set(op.getResult(),
            RuntimeValue(makeValue(quantiseWeight(
                frame.tensor(op.getSource()), op.getType().getFormat(),
                lm::hasFloatActivations(op)))));
  return success();
}

static LogicalResult evaluate(mlir::moe::RecordOp op, Frame &frame) {
  frame.record({int64_t(op.getIndex()), frame.tensor(op.getWeights()),
                frame.tensor(op.getIds())});
  return success();
}

static LogicalResult evaluate(func::CallOp op, Frame &frame) {
  return frame.call(op);
}

LogicalResult Frame::call(func::CallOp op) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
      op, op.getCalleeAttr());
  if (!callee || callee.isExternal())
    return op.emitOpError("calls a function without a body");
  std::vector<RuntimeValue> arguments;
  for (Value operand : op.getOperands())
    arguments.push_back(get(operand));
  unsigned number = ++callCounts[op.getCallee()];
  std::string inner = path + "/" + op.getCallee().str();
  if (number > 1)
    inner += "#" + std::to_string(number);
  auto results = Frame(machine, callee, inner).run(std::move(arguments));
  if (failed(results))
    return failure();
  for (auto [result, value] : llvm::zip(op.getResults(), *results))
    set(result, value);
  return success();
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

/// What every op must satisfy before its own evaluation looks at it.
static LogicalResult checkOp(Operation &op) {
  for (Value operand : op.getOperands())
    if (isa<BaseMemRefType>(operand.getType()))
      return op.emitOpError("is in buffer form; the interpreter runs the value "
                            "form");
  for (Type type : op.getResultTypes()) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      continue;
    if (!getElement(tensor.getElementType()))
      return op.emitOpError("the interpreter has no element type ")
             << tensor.getElementType();
    for (int64_t dim : tensor.getShape().drop_front(tensor.getRank() ? 1 : 0))
      if (ShapedType::isDynamic(dim))
        return op.emitOpError("only the rows of a result may be dynamic, got ")
               << tensor;
  }
  return success();
}

static LogicalResult evaluateAny(Operation &op, Frame &frame) {
  namespace moe = mlir::moe;
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<arith::ConstantOp, func::CallOp, lm::WeightOp, lm::LayerStateOp,
            lm::EmbeddingOp, lm::RMSNormOp, lm::LayerNormOp, lm::AddOp,
            lm::ActivateOp, lm::GatedOp, lm::ScaledAddOp, lm::LastRowsOp,
            lm::LinearOp, lm::GatedLinearOp, lm::RopeTableOp, lm::RopeOp,
            lm::AttentionOp, lm::AppendOp, moe::LayerOp, moe::RouterOp,
            moe::RouteOp, moe::DispatchOp, moe::GroupedMatmulOp,
            moe::ExpertFFNOp, moe::CombineOp, moe::RecordOp, moe::PackOp,
            moe::LoadBalanceLossOp, moe::ZLossOp, moe::ImportanceLossOp>(
          [&](auto concrete) { return evaluate(concrete, frame); })
      .Default([](Operation *other) {
        return other->emitOpError("is not an op that the interpreter knows");
      });
}

LogicalResult Frame::execute(Operation &op) {
  if (failed(checkOp(op)) || failed(evaluateAny(op, *this)))
    return failure();
  SmallVector<RuntimeValue> results;
  for (Value result : op.getResults()) {
    results.push_back(get(result));
    if (failed(checkType(results.back(), result.getType(),
                         [&] { return op.emitOpError("result: "); })))
      return failure();
  }
  if (machine.options.observer)
    machine.options.observer(&op, results, path);
  return success();
}

FailureOr<std::vector<RuntimeValue>>
Frame::run(std::vector<RuntimeValue> arguments) {
  if (!llvm::hasSingleElement(function.getBody()))
    return function.emitOpError("must have one block");
  Block &block = function.getBody().front();
  for (auto [argument, value] : llvm::zip(block.getArguments(), arguments))
    setArgument(argument, std::move(value));
  for (Operation &op : block.without_terminator())
    if (failed(execute(op)))
      return failure();
  std::vector<RuntimeValue> results;
  for (Value value : block.getTerminator()->getOperands())
    results.push_back(get(value));
  return results;
}
