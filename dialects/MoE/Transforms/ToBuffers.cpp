//===- ToBuffers.cpp - Value form to buffer form, functions included ------===//
//
// Part of moe-mlir. Every op of both dialects makes fresh results and aliases
// nothing, so there is no conflict analysis to do: a result gets a buffer, and
// a function's result is written by the op that defines it, in place.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/Transforms/Passes.h"

#include "FunctionConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOETOBUFFERS
#include "dialects/MoE/Transforms/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static constexpr int64_t kWeightAlignment = 64;

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

SmallVector<MemRefType> mlir::moe::bufferTypes(Type type) {
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

Value mlir::moe::viewWeight(OpBuilder &builder, Location loc,
                            lm::PackedType type, Value bytes, Value offset) {
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
