//===- ToBuffers.cpp - Value form to buffer form, functions included ------===//
//
// Part of moe-mlir. Every op of both dialects makes fresh results and aliases
// nothing, so there is no conflict analysis to do: a result gets a buffer, and
// a function's result is written by the op that defines it, in place.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/Transforms/Passes.h"

#include "dialects/MoE/Transforms/BufferContext.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOETOBUFFERS
#include "dialects/MoE/Transforms/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
constexpr int64_t kWeightAlignment = 64;

/// What keys (or values) of some layers' caches take a position, whatever their
/// element type.
struct StateSize {
  int64_t elements = 0, rows = 0;

  explicit StateSize(lm::StateType type)
      : elements(type.getHeads() * type.getPaddedHeadDim()),
        rows(type.getHeads()) {}
  StateSize() = default;

  int64_t bytesOf(Type elementType) const {
    return elements * lm::StateType::getElementBytes(elementType) +
           rows * lm::StateType::getScaleBytes(elementType);
  }
};

/// Facts about the module that its functions share.
struct ModuleFacts {
  explicit ModuleFacts(ModuleOp module);

  SymbolTableCollection symbols;
  /// The caches of all layers before a given one, and of all layers.
  DenseMap<int64_t, StateSize> stateOffset;
  StateSize stateSize;
  /// What they may hold.
  ArrayRef<Type> stateTypes;
  /// Sum of top_k of the records before a given one.
  DenseMap<int64_t, int64_t> recordOffset;
  SmallVector<int64_t> recordSlots;
};

/// Rewrites one function.
class FunctionConverter {
public:
  FunctionConverter(func::FuncOp function, ModuleFacts &facts,
                    unsigned &recordCount)
      : function(function), facts(facts), recordCount(recordCount),
        builder(function.getContext()) {}

  LogicalResult run();

  /// Checks what `run` takes for granted.
  LogicalResult verifyFunction();

private:
  LogicalResult verifyStep();
  void convertSignature();
  void mapStepArguments(Block &block);
  LogicalResult convert(Operation &op);
  LogicalResult convertTwoForms(Operation &op);
  LogicalResult convertCall(func::CallOp call);
  LogicalResult convertRecord(RecordOp op);
  void convertAppend(lm::AppendOp op);
  SmallVector<Value, 2> typesOf(lm::StateType type) const;
  Value ofTypes(function_ref<int64_t(Type)> number);
  Value bytesOf(Location loc, const StateSize &size);
  LogicalResult convertWeight(lm::WeightOp op);
  LogicalResult convertLayerState(lm::LayerStateOp op);
  LogicalResult convertReturn(func::ReturnOp op);
  SmallVector<Value> allocate(Value result, Value rows, int64_t perToken);
  Value index(int64_t value);
  Value mapped(Value value) { return values.lookup(value).front(); }

  func::FuncOp function;
  ModuleFacts &facts;
  unsigned &recordCount;
  OpBuilder builder;
  DenseMap<Value, SmallVector<Value>> values;
  /// Result values that have a place of their own to be written to.
  DenseMap<Value, Value> destinations;
  /// Rows of a value for one token of the function's input.
  DenseMap<Value, int64_t> rowsPerToken;
  BufferContext context;
  /// Of a step: bytes of a key's and a value's element, and of their scales.
  Value elementBytes, scaleBytes;
  bool isStep = false;
};
} // namespace

ModuleFacts::ModuleFacts(ModuleOp module) {
  std::map<int64_t, StateSize> perLayer;
  module.walk([&](lm::LayerStateOp op) {
    lm::StateType type = op.getResult().getType();
    perLayer[op.getLayer()] = StateSize(type);
    if (stateTypes.empty())
      stateTypes = type.getElementTypes();
  });
  for (auto [layer, size] : perLayer) {
    stateOffset[layer] = stateSize;
    stateSize.elements += size.elements;
    stateSize.rows += size.rows;
  }
}

/// Buffers of a value: one memref for a tensor, four for a plan.
static SmallVector<MemRefType> bufferTypes(Type type) {
  auto *context = type.getContext();
  Type i32 = IntegerType::get(context, 32);
  auto dynamic = ShapedType::kDynamic;
  if (auto plan = dyn_cast<PlanType>(type)) {
    auto prefix = MemRefType::get({plan.getExperts() + 1}, i32);
    auto rows = MemRefType::get({dynamic}, i32);
    return {prefix, prefix, rows, rows};
  }
  auto tensor = cast<RankedTensorType>(type);
  return {MemRefType::get(tensor.getShape(), tensor.getElementType())};
}

Value FunctionConverter::index(int64_t value) {
  return arith::ConstantIndexOp::create(builder, function.getLoc(), value);
}

SmallVector<Value> FunctionConverter::allocate(Value result, Value rows,
                                               int64_t perToken) {
  rowsPerToken[result] = perToken;
  if (Value destination = destinations.lookup(result))
    return {destination};
  SmallVector<Value> buffers;
  for (MemRefType type : bufferTypes(result.getType())) {
    ValueRange sizes = type.hasStaticShape() ? ValueRange() : ValueRange(rows);
    auto alloc = memref::AllocOp::create(builder, result.getLoc(), type, sizes);
    alloc->setAttr(kRowsPerTokenAttr, builder.getI64IntegerAttr(perToken));
    buffers.push_back(alloc);
  }
  return buffers;
}

LogicalResult FunctionConverter::convertTwoForms(Operation &op) {
  auto twoForms = cast<lm::TwoFormsOpInterface>(&op);
  auto sizes = op.getAttrOfType<DenseI32ArrayAttr>("operandSegmentSizes");
  // Without segments every operand but `outs` is one of its own.
  SmallVector<int32_t> segments;
  if (sizes)
    segments.assign(sizes.asArrayRef().begin(), sizes.asArrayRef().end());
  else
    segments.assign(op.getNumOperands(), 1), segments.push_back(0);
  // Behind its outs come extent and types of the cache.
  auto attention = dyn_cast<lm::AttentionOp>(op);
  unsigned outsSegment = segments.size() - (attention ? 3 : 1);

  SmallVector<Value> operands;
  unsigned next = 0;
  SmallVector<int32_t> newSegments;
  for (auto [i, size] : llvm::enumerate(segments)) {
    int32_t count = 0;
    for (Value operand : op.getOperands().slice(next, size)) {
      ArrayRef<Value> buffers = values[operand];
      operands.append(buffers.begin(), buffers.end());
      count += buffers.size();
    }
    next += size;
    newSegments.push_back(count);
    if (i != outsSegment)
      continue;
    for (auto [r, result] : llvm::enumerate(op.getResults())) {
      Value base = op.getOperand(twoForms.getRowsOperand(r));
      int64_t perToken =
          rowsPerToken.lookup_or(base, 1) * twoForms.getRowsPerToken(r);
      Value rows = twoForms.buildResultRows(builder, operands, r);
      SmallVector<Value> buffers = allocate(result, rows, perToken);
      operands.append(buffers.begin(), buffers.end());
      newSegments[i] += buffers.size();
      values[result] = buffers;
    }
  }
  if (attention) {
    operands.push_back(context.extent);
    SmallVector<Value, 2> types = typesOf(attention.getCacheType());
    operands.append(types.begin(), types.end());
    newSegments[outsSegment + 1] = 1;
    newSegments[outsSegment + 2] = types.size();
  }
  OperationState state(op.getLoc(), op.getName());
  state.addOperands(operands);
  NamedAttrList attrs(op.getAttrDictionary());
  if (sizes)
    attrs.set("operandSegmentSizes", builder.getDenseI32ArrayAttr(newSegments));
  if (attention)
    attrs.set("state_type", TypeAttr::get(attention.getCacheType()));
  for (Type type : op.getOperandTypes())
    if (auto weight = dyn_cast<lm::PackedType>(type);
        weight && weight.isQuantised())
      attrs.set("weight_format",
                lm::FormatAttr::get(op.getContext(), weight.getFormat()));
  state.addAttributes(attrs);
  for (Region &region : op.getRegions())
    state.addRegion()->takeBody(region);
  builder.create(state);
  return success();
}

LogicalResult FunctionConverter::convertRecord(RecordOp op) {
  // A step's calls are what records are counted by.
  if (!context.routeIds || isStep)
    return op.emitOpError("only the layers of a model's step record routing");
  int64_t before = facts.recordOffset.lookup(op.getIndex());
  RecordOp::create(
      builder, op.getLoc(), mapped(op.getWeights()), mapped(op.getIds()),
      op.getIndex(), ValueRange{context.routeIds, context.routeWeights},
      ValueRange{context.recordOffset ? context.recordOffset : index(before)});
  return success();
}

void FunctionConverter::convertAppend(lm::AppendOp op) {
  lm::AppendOp::create(
      builder, op.getLoc(), mapped(op.getK()), mapped(op.getV()),
      mapped(op.getState()), mapped(op.getPosition()), context.extent,
      typesOf(op.getCacheType()), TypeAttr::get(op.getCacheType()));
}

/// The operands that choose element types of keys and of values.
SmallVector<Value, 2> FunctionConverter::typesOf(lm::StateType type) const {
  if (!type.isChosen())
    return {};
  return {context.keyType, context.valueType};
}

/// Of a number that each element type has, the keys' plus the values'.
Value FunctionConverter::ofTypes(function_ref<int64_t(Type)> number) {
  Location loc = function.getLoc();
  ArrayRef<Type> types = facts.stateTypes;
  Value sum;
  for (Value chosen : {context.keyType, context.valueType}) {
    Value one = index(number(types.front()));
    for (auto [i, type] : llvm::enumerate(types.drop_front())) {
      Value isType = arith::CmpIOp::create(
          builder, loc, arith::CmpIPredicate::eq, chosen, index(i + 1));
      one = arith::SelectOp::create(builder, loc, isType, index(number(type)),
                                    one);
    }
    sum = sum ? Value(arith::AddIOp::create(builder, loc, sum, one)) : one;
  }
  return sum;
}

/// Keys and values, for as many positions as a cache holds.
Value FunctionConverter::bytesOf(Location loc, const StateSize &size) {
  Value elements =
      arith::MulIOp::create(builder, loc, elementBytes, index(size.elements));
  Value scales =
      arith::MulIOp::create(builder, loc, scaleBytes, index(size.rows));
  Value bytes = arith::AddIOp::create(builder, loc, elements, scales);
  return arith::MulIOp::create(builder, loc, context.extent, bytes);
}

/// A view of one weight, `offset` bytes from the start of `bytes`.
static Value viewWeight(OpBuilder &builder, Location loc, lm::PackedType type,
                        Value bytes, Value offset) {
  return memref::ViewOp::create(builder, loc, lm::getPackedBufferType(type),
                                bytes, offset, ValueRange());
}

LogicalResult FunctionConverter::convertWeight(lm::WeightOp op) {
  // Weights that only go to private functions travel in records.
  if (llvm::all_of(op->getUsers(), llvm::IsaPred<func::CallOp>))
    return success();
  if (!context.weights)
    return op.emitOpError("only a model's step and its layers read weights");
  auto declaration = facts.symbols.lookupNearestSymbolFrom<lm::WeightsOp>(
      op, op.getNameAttr());
  values[op.getResult()] = {
      viewWeight(builder, op.getLoc(), cast<lm::PackedType>(op.getType()),
                 context.weights, index(*declaration.getOffset()))};
  return success();
}

LogicalResult FunctionConverter::convertLayerState(lm::LayerStateOp op) {
  if (!context.kv)
    return op.emitOpError("only a model's step has KV caches");
  lm::StateType type = op.getResult().getType();
  Location loc = op.getLoc();
  if (type.getElementTypes() != facts.stateTypes)
    return op.emitOpError("may hold other element types than the caches of "
                          "other layers");
  Value offset = bytesOf(loc, facts.stateOffset.lookup(op.getLayer()));
  Value size = bytesOf(loc, StateSize(type));
  auto bytes = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
  values[op.getResult()] = {memref::ViewOp::create(
      builder, loc, bytes, context.kv, offset, ValueRange{size})};
  return success();
}

LogicalResult FunctionConverter::convertCall(func::CallOp call) {
  Location loc = call.getLoc();
  auto callee = facts.symbols.lookupNearestSymbolFrom<func::FuncOp>(
      call, call.getCalleeAttr());
  if (!callee || !callee.isPrivate() || callee.isExternal())
    return call.emitOpError("only private functions with a body can be called");
  // Frames are laid out for one level of calls.
  if (!isStep)
    return call.emitOpError("only a model's step can call functions");
  SmallVector<Value> operands;
  SmallVector<int64_t> record;
  for (Value operand : call.getOperands()) {
    if (!isa<lm::PackedType>(operand.getType())) {
      operands.append(values[operand]);
      continue;
    }
    auto weight = operand.getDefiningOp<lm::WeightOp>();
    if (!weight)
      return call.emitOpError("a weight argument must come from lm.weight");
    auto declaration = facts.symbols.lookupNearestSymbolFrom<lm::WeightsOp>(
        call, weight.getNameAttr());
    record.push_back(*declaration.getOffset());
  }
  // What else differs from layer to layer: where its routing is recorded.
  record.push_back(facts.recordOffset.lookup(recordCount));
  std::optional<int64_t> slots;
  callee.walk([&](RecordOp op) {
    slots = cast<ShapedType>(op.getIds().getType()).getDimSize(1);
  });
  if (auto known = callee->getAttrOfType<IntegerAttr>(kRecordSlotsAttr))
    slots = known.getInt();
  if (slots) {
    facts.recordSlots.push_back(*slots);
    facts.recordOffset[recordCount + 1] =
        facts.recordOffset.lookup(recordCount) + *slots;
    ++recordCount;
  }

  Value rows;
  for (Value operand : operands)
    if (isa<MemRefType>(operand.getType()) && !rows)
      rows = memref::DimOp::create(builder, loc, operand, 0);
  if (!rows && call.getNumResults())
    return call.emitOpError("needs an operand whose rows its results have");
  for (Value result : call.getResults()) {
    values[result] = allocate(result, rows, 1);
    operands.append(values[result]);
  }
  BufferContext inner = context;
  inner.record = buildRecord(builder, loc, record);
  inner.appendTo(operands);
  func::CallOp::create(builder, loc, call.getCallee(), TypeRange(), operands);
  return success();
}

LogicalResult FunctionConverter::convertReturn(func::ReturnOp op) {
  for (auto [i, value] : llvm::enumerate(op.getOperands())) {
    Value out = context.results[i];
    Value source = mapped(value);
    if (source == out)
      continue;
    auto type = cast<MemRefType>(source.getType());
    if (type.getRank() != 2 || !isa<FloatType>(type.getElementType()))
      return op.emitOpError("result ")
             << i << " is an argument or returned twice, and "
             << value.getType() << " cannot be copied";
    // Returned twice, or an argument: copied, as the last T of T rows.
    Value rows = memref::DimOp::create(builder, op.getLoc(), source, 0);
    lm::LastRowsOp::create(builder, op.getLoc(), TypeRange(), source, rows,
                           ValueRange{out});
  }
  func::ReturnOp::create(builder, op.getLoc());
  return success();
}

LogicalResult FunctionConverter::convert(Operation &op) {
  builder.setInsertionPointToEnd(&function.getBody().back());
  if (isa<lm::TwoFormsOpInterface>(op))
    return convertTwoForms(op);
  if (auto record = dyn_cast<RecordOp>(op))
    return convertRecord(record);
  if (auto append = dyn_cast<lm::AppendOp>(op))
    return convertAppend(append), success();
  if (auto weight = dyn_cast<lm::WeightOp>(op))
    return convertWeight(weight);
  if (auto state = dyn_cast<lm::LayerStateOp>(op))
    return convertLayerState(state);
  if (auto call = dyn_cast<func::CallOp>(op))
    return convertCall(call);
  if (auto ret = dyn_cast<func::ReturnOp>(op))
    return convertReturn(ret);
  bool usesTensors =
      llvm::any_of(op.getResultTypes(), llvm::IsaPred<TensorType>) ||
      llvm::any_of(op.getOperandTypes(), llvm::IsaPred<TensorType>);
  if (usesTensors || op.getNumRegions())
    return op.emitOpError("has no buffer form");
  IRMapping mapping;
  for (Value operand : op.getOperands())
    mapping.map(operand, mapped(operand));
  Operation *clone = builder.clone(op, mapping);
  for (auto [from, to] : llvm::zip(op.getResults(), clone->getResults()))
    values[from] = {to};
  return success();
}

//===----------------------------------------------------------------------===//
// Signatures
//===----------------------------------------------------------------------===//

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

void FunctionConverter::convertSignature() {
  // Arguments and results become others: what was said of them is over.
  function.removeArgAttrsAttr();
  function.removeResAttrsAttr();
  isStep = function->hasAttr(kStepAttr);
  Block &old = function.getBody().front();
  SmallVector<Type> oldTypes(function.getArgumentTypes());
  SmallVector<Type> results(function.getResultTypes());
  Block *block = new Block();
  function.getBody().push_back(block);
  Location loc = function.getLoc();
  if (isStep) {
    mapStepArguments(*block);
    // Logits come as one run of f32: rows x vocabulary.
    auto logits = cast<RankedTensorType>(results[0]);
    int64_t columns = logits.getDimSize(1);
    auto type = MemRefType::get(logits.getShape(), logits.getElementType());
    Value rows = block->getArgument(10);
    context.results = {memref::ReinterpretCastOp::create(
        builder, loc, type, block->getArgument(4),
        OpFoldResult(builder.getIndexAttr(0)),
        ArrayRef<OpFoldResult>{rows, builder.getIndexAttr(columns)},
        ArrayRef<OpFoldResult>{builder.getIndexAttr(columns),
                               builder.getIndexAttr(1)})};
    addScratchPlaceholder(builder, loc, context);
    return;
  }
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

LogicalResult FunctionConverter::run() {
  std::optional<int64_t> slots;
  unsigned records = 0;
  function.walk([&](RecordOp op) {
    slots = cast<ShapedType>(op.getIds().getType()).getDimSize(1);
    ++records;
  });
  if (records > 1)
    return function.emitOpError("records its routing more than once");
  if (slots)
    function->setAttr(kRecordSlotsAttr, builder.getI64IntegerAttr(*slots));
  Block &old = function.getBody().front();
  convertSignature();
  // Ops that define a result write it where the caller wants it.
  auto ret = cast<func::ReturnOp>(old.getTerminator());
  for (auto [i, value] : llvm::enumerate(ret.getOperands()))
    if (value.getDefiningOp() && !destinations.count(value))
      destinations[value] = context.results[i];
  for (Operation &op : old)
    if (failed(convert(op)))
      return failure();
  old.dropAllReferences();
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(old)))
    op.erase();
  old.erase();
  return success();
}

/// Gives every declared weight its offset in the payload.
static int64_t placeWeights(ModuleOp module) {
  int64_t offset = 0;
  Builder builder(module.getContext());
  for (auto weights : module.getOps<lm::WeightsOp>()) {
    auto type = dyn_cast<lm::PackedType>(weights.getType());
    if (!type)
      continue;
    weights.setOffsetAttr(builder.getI64IntegerAttr(offset));
    offset = llvm::alignTo(offset + type.getBytes(), kWeightAlignment);
  }
  return offset;
}

/// Checks that every weight that is read has a layout.
static LogicalResult verifyWeights(ModuleOp module) {
  WalkResult result = module.walk([](lm::WeightOp op) {
    if (isa<lm::PackedType>(op.getType()))
      return WalkResult::advance();
    op.emitOpError("is not packed: run moe-pack-weights first");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

namespace {
struct ToBuffersPass : moe::impl::MoEToBuffersBase<ToBuffersPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    Builder builder(module.getContext());
    if (failed(verifyWeights(module)))
      return signalPassFailure();
    int64_t weightBytes = placeWeights(module);
    ModuleFacts facts(module);
    unsigned recordCount = 0;
    std::vector<FunctionConverter> converters;
    for (auto function : module.getOps<func::FuncOp>())
      if (!function.isExternal())
        converters.emplace_back(function, facts, recordCount);
    for (FunctionConverter &converter : converters)
      if (failed(converter.verifyFunction()))
        return signalPassFailure();
    for (FunctionConverter &converter : converters)
      if (failed(converter.run()))
        return signalPassFailure();
    // What whoever links the model must know.
    NamedAttrList layout;
    layout.append("weight_bytes", builder.getI64IntegerAttr(weightBytes));
    SmallVector<int64_t> stateBytes;
    for (Type type : facts.stateTypes)
      stateBytes.push_back(facts.stateSize.bytesOf(type));
    layout.append("state_bytes_per_position",
                  builder.getDenseI64ArrayAttr(stateBytes));
    layout.append("record_slots",
                  builder.getDenseI64ArrayAttr(facts.recordSlots));
    module->setAttr(kLayoutAttr, layout.getDictionary(module.getContext()));
  }
};
} // namespace
