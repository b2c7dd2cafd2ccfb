//===- FunctionSignature.cpp - Arguments and results as buffers -----------===//
//
// Part of moe-mlir. Of the pass moe-to-buffers: which functions have a buffer
// form, and what they then take.
//
//===----------------------------------------------------------------------===//

#include "FunctionConverter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::moe;

/// The step's arguments, in the order of docs/executable-format.md.
void FunctionConverter::mapStepArguments(Block &block) {
  Location loc = function.getLoc();
  auto bytes = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
  auto list = [&](Type type) {
    return MemRefType::get({ShapedType::kDynamic}, type);
  };
  Type i32 = builder.getI32Type(), f32 = builder.getF32Type();
  Type idx = builder.getIndexType();
  SmallVector<Type> types = {bytes,     bytes,     bytes, list(i32), list(f32),
                             list(i32), list(f32), idx,   idx,       idx,
                             idx,       idx,       idx,   idx};
  SmallVector<Location> locs(types.size(), loc);
  block.addArguments(types, locs);
  function.setFunctionType(builder.getFunctionType(types, {}));
  builder.setInsertionPointToEnd(&block);
  auto args = block.getArguments();
  context.weights = args[0];
  context.kv = args[1];
  context.arena = args[2];
  context.routeIds = args[5];
  context.routeWeights = args[6];
  context.extent = args[8];
  context.capacity = args[9];
  context.keyType = args[11];
  context.valueType = args[12];
  context.slots = args[13];
  if (!facts.stateTypes.empty()) {
    elementBytes = ofTypes(lm::StateType::getElementBytes);
    scaleBytes = ofTypes(lm::StateType::getScaleBytes);
  }
  // (tokens, position, rows) -> logits
  Block &old = function.getBody().front();
  values[old.getArgument(0)] = {args[3]};
  values[old.getArgument(1)] = {args[7]};
  values[old.getArgument(2)] = {args[10]};
}

/// Logits come as one run of f32: rows x vocabulary.
void FunctionConverter::convertStepSignature(Block &block,
                                             RankedTensorType logits) {
  Location loc = function.getLoc();
  mapStepArguments(block);
  int64_t columns = logits.getDimSize(1);
  auto type = MemRefType::get(logits.getShape(), logits.getElementType());
  Value rows = block.getArgument(10);
  context.results = {memref::ReinterpretCastOp::create(
      builder, loc, type, block.getArgument(4),
      OpFoldResult(builder.getIndexAttr(0)),
      ArrayRef<OpFoldResult>{rows, builder.getIndexAttr(columns)},
      ArrayRef<OpFoldResult>{builder.getIndexAttr(columns),
                             builder.getIndexAttr(1)})};
  addScratchPlaceholder(builder, loc, context);
}

void FunctionConverter::convertSignature() {
  // Arguments and results become others: what was said of them is over.
  function.removeArgAttrsAttr();
  function.removeResAttrsAttr();
  isStep = function->hasAttr(kStepAttr);
  Block &old = function.getBody().front();
  SmallVector<Type> results(function.getResultTypes());
  Block *block = new Block();
  function.getBody().push_back(block);
  Location loc = function.getLoc();
  if (isStep)
    return convertStepSignature(*block, cast<RankedTensorType>(results[0]));
  bool isPrivate = function.isPrivate();
  auto bytes = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
  // First every argument but packed weights of private functions.
  SmallVector<std::pair<BlockArgument, lm::PackedType>> packed;
  for (BlockArgument argument : old.getArguments()) {
    Type type = argument.getType();
    if (auto weight = dyn_cast<lm::PackedType>(type)) {
      packed.push_back({argument, weight});
      if (!isPrivate)
        values[argument] = {block->addArgument(bytes, loc)};
    } else if (isa<RankedTensorType>(type)) {
      values[argument] = {block->addArgument(bufferTypes(type)[0], loc)};
    } else if (isa<lm::StateType>(type)) {
      values[argument] = {block->addArgument(bytes, loc)};
    } else {
      values[argument] = {block->addArgument(type, loc)};
    }
  }
  for (Type type : results)
    context.results.push_back(block->addArgument(bufferTypes(type)[0], loc));
  if (isPrivate)
    context.addArguments(*block, builder);
  else
    context.addEntryArguments(*block, builder);
  function.setFunctionType(
      builder.getFunctionType(block->getArgumentTypes(), {}));
  builder.setInsertionPointToEnd(block);
  if (!isPrivate)
    addScratchPlaceholder(builder, loc, context);
  for (auto [i, pair] : llvm::enumerate(packed)) {
    auto [argument, type] = pair;
    Value base = isPrivate ? context.weights : mapped(argument);
    Value offset = index(0);
    if (isPrivate)
      offset = memref::LoadOp::create(builder, loc, context.record,
                                      ValueRange{index(i)});
    values[argument] = {viewWeight(builder, loc, type, base, offset)};
  }
  if (isPrivate)
    context.recordOffset = memref::LoadOp::create(
        builder, loc, context.record, ValueRange{index(packed.size())});
}

LogicalResult FunctionConverter::verifyStep() {
  FunctionType type = function.getFunctionType();
  auto tokens =
      RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
  Type wanted[] = {tokens, builder.getIndexType(), builder.getIndexType()};
  auto logits = type.getNumResults() == 1
                    ? dyn_cast<RankedTensorType>(type.getResult(0))
                    : RankedTensorType();
  if (type.getInputs() != ArrayRef<Type>(wanted) || !logits ||
      logits.getRank() != 2 || logits.isDynamicDim(1) ||
      !logits.getElementType().isF32())
    return function.emitOpError(
               "a model's step takes tokens, position and rows "
               "(tensor<?xi32>, index, index) and returns "
               "logits (tensor<?xVxf32>), got ")
           << type;
  return success();
}

LogicalResult FunctionConverter::verifyFunction() {
  if (!llvm::hasSingleElement(function.getBody()) ||
      !isa<func::ReturnOp>(function.getBody().front().getTerminator()))
    return function.emitOpError("must have one block, which returns, before "
                                "phase buffers");
  for (Type type : function.getArgumentTypes())
    if (auto state = dyn_cast<lm::StateType>(type);
        state && state.isChosen() && !function.isPrivate())
      return function.emitOpError(
                 "has no buffer form: a cache that it is given "
                 "needs one element type, got ")
             << type;
  for (Type type : function.getArgumentTypes())
    if (!isa<RankedTensorType, lm::PackedType, lm::StateType>(type) &&
        !type.isIntOrIndexOrFloat())
      return function.emitOpError("has no buffer form: argument of type ")
             << type;
  for (Type type : function.getResultTypes())
    if (!isa<RankedTensorType>(type))
      return function.emitOpError("has no buffer form: result of type ")
             << type;
  if (function->hasAttr(kStepAttr))
    return verifyStep();
  return success();
}
