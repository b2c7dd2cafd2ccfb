//===- FunctionConverter.h - One function to buffer form --------*- C++ -*-===//
//
// Part of moe-mlir. Of the pass moe-to-buffers: what its files share.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECTS_MOE_TRANSFORMS_FUNCTIONCONVERTER_H
#define MOE_DIALECTS_MOE_TRANSFORMS_FUNCTIONCONVERTER_H

#include "dialects/LM/IR/LMDialect.h"
#include "dialects/MoE/IR/MoEDialect.h"
#include "dialects/MoE/Transforms/BufferContext.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"

namespace mlir::moe {

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
  void convertStepSignature(Block &block, RankedTensorType logits);
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

/// Buffers of a value: one memref for a tensor, four for a plan.
SmallVector<MemRefType> bufferTypes(Type type);

/// A view of one weight, `offset` bytes from the start of `bytes`.
Value viewWeight(OpBuilder &builder, Location loc, lm::PackedType type,
                 Value bytes, Value offset);

} // namespace mlir::moe

#endif // MOE_DIALECTS_MOE_TRANSFORMS_FUNCTIONCONVERTER_H
