//===- LayerFunctions.cpp - The C functions of a library ------------------===//
//
// Part of moe-mlir. A lowered function takes each memref as pointers, offset,
// sizes and strides; a caller in C passes one pointer. These wrappers stand
// between the two, and check what the caller passed.
//
//===----------------------------------------------------------------------===//

#include "LayerFunctions.h"

#include "LayerHeader.h"
#include "LayerPacking.h"
#include "dialects/MoE/Transforms/BufferContext.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;
using namespace moec;
using LLVM::ICmpPredicate;

namespace {
/// Builds the C functions of one public function.
class LayerBuilder {
public:
  LayerBuilder(ModuleOp module, const LayerSignature &signature)
      : module(module), signature(signature),
        b(UnknownLoc::get(module.getContext()), module.getContext()),
        ptr(LLVM::LLVMPointerType::get(module.getContext())),
        i64(b.getI64Type()), i32(b.getI32Type()) {}

  void run();

private:
  void addMain(LLVM::LLVMFuncOp body);
  void addArenaSize();
  void addPackedSize();
  void addPack();
  void addDescribe();

  LLVM::LLVMFuncOp begin(StringRef suffix, Type result, ArrayRef<Type> types);
  Value integer(Type type, int64_t value) {
    return LLVM::ConstantOp::create(b, type, b.getIntegerAttr(type, value));
  }
  Value compare(ICmpPredicate predicate, Value a, Value c) {
    return LLVM::ICmpOp::create(b, predicate, a, c);
  }
  Value outside(Value value, int64_t least, int64_t most);
  Value address(Value pointer) {
    return LLVM::PtrToIntOp::create(b, i64, pointer);
  }
  /// Leaves the function with `code` where `wrong` holds.
  void leaveIf(Value wrong, Value code);
  /// The multiple of 16 that the arena is counted by.
  Value capacityFor(Value tokens);
  Value arenaBytes(Value capacity, Value threads);
  /// Appends what a lowered function takes for a memref.
  void appendMemRef(SmallVectorImpl<Value> &operands, Value pointer,
                    ArrayRef<Value> sizes);
  SmallVector<Value> sizesOf(const LayerValue &value, Block &block,
                             Value tokens);

  ModuleOp module;
  const LayerSignature &signature;
  ImplicitLocOpBuilder b;
  Type ptr, i64, i32;
};
} // namespace

LLVM::LLVMFuncOp LayerBuilder::begin(StringRef suffix, Type result,
                                     ArrayRef<Type> types) {
  b.setInsertionPointToEnd(module.getBody());
  auto function = LLVM::LLVMFuncOp::create(
      b, signature.name + suffix.str(),
      LLVM::LLVMFunctionType::get(result, types));
  Block *block = function.addEntryBlock(b);
  b.setInsertionPointToStart(block);
  return function;
}

Value LayerBuilder::outside(Value value, int64_t least, int64_t most) {
  Value below =
      compare(ICmpPredicate::slt, value, integer(value.getType(), least));
  Value above =
      compare(ICmpPredicate::sgt, value, integer(value.getType(), most));
  return LLVM::OrOp::create(b, below, above);
}

void LayerBuilder::leaveIf(Value wrong, Value code) {
  Block *before = b.getInsertionBlock();
  Region *region = before->getParent();
  Block *leave = b.createBlock(region, region->end());
  LLVM::ReturnOp::create(b, ValueRange{code});
  Block *proceed = b.createBlock(region, region->end());
  b.setInsertionPointToEnd(before);
  LLVM::CondBrOp::create(b, wrong, leave, proceed);
  b.setInsertionPointToEnd(proceed);
}

Value LayerBuilder::capacityFor(Value tokens) {
  Value up = LLVM::AddOp::create(b, tokens, integer(i64, 15));
  Value capacity = LLVM::AndOp::create(b, up, integer(i64, ~int64_t(15)));
  return LLVM::SMaxOp::create(b, capacity, integer(i64, 16));
}

Value LayerBuilder::arenaBytes(Value capacity, Value threads) {
  auto arena = module->getAttrOfType<DictionaryAttr>(mlir::moe::kArenaAttr);
  auto number = [&](StringRef name) {
    return integer(i64, arena.getAs<IntegerAttr>(name).getInt());
  };
  Value perToken = LLVM::MulOp::create(b, capacity, number("per_token"));
  Value perThread = LLVM::MulOp::create(b, threads, number("per_thread"));
  Value sum = LLVM::AddOp::create(b, perToken, perThread);
  return LLVM::AddOp::create(b, sum, number("fixed"));
}

void LayerBuilder::addArenaSize() {
  LLVM::LLVMFuncOp function = begin("_arena_size", i64, {i64, i64});
  Value tokens = function.getArgument(0), threads = function.getArgument(1);
  Value wrong = LLVM::OrOp::create(b, outside(tokens, 0, kLayerMaxTokens),
                                   outside(threads, 1, kLayerMaxThreads));
  leaveIf(wrong, integer(i64, -1));
  LLVM::ReturnOp::create(b,
                         ValueRange{arenaBytes(capacityFor(tokens), threads)});
}

void LayerBuilder::addPackedSize() {
  LLVM::LLVMFuncOp function = begin("_packed_size", i64, {i32});
  Value size = integer(i64, -1);
  for (auto [i, weight] : llvm::enumerate(signature.weights())) {
    Value isThis = compare(ICmpPredicate::eq, function.getArgument(0),
                           integer(i32, i));
    size = LLVM::SelectOp::create(
        b, isThis, integer(i64, weight->packed.getBytes()), size);
  }
  LLVM::ReturnOp::create(b, ValueRange{size});
}

void LayerBuilder::appendMemRef(SmallVectorImpl<Value> &operands, Value pointer,
                                ArrayRef<Value> sizes) {
  operands.append({pointer, pointer, integer(i64, 0)});
  operands.append(sizes.begin(), sizes.end());
  SmallVector<Value> strides(sizes.size());
  Value stride = integer(i64, 1);
  for (int64_t i = int64_t(sizes.size()) - 1; i >= 0; --i) {
    strides[i] = stride;
    if (i)
      stride = LLVM::MulOp::create(b, stride, sizes[i]);
  }
  operands.append(strides);
}

void LayerBuilder::addPack() {
  LLVM::LLVMFuncOp function = begin("_pack", i32, {i32, ptr, ptr});
  Value number = function.getArgument(0), from = function.getArgument(1),
        to = function.getArgument(2);
  std::vector<const LayerValue *> weights = signature.weights();
  leaveIf(outside(number, 0, int64_t(weights.size()) - 1),
          integer(i32, kLayerNoSuchWeight));
  Value null = LLVM::ZeroOp::create(b, ptr);
  leaveIf(LLVM::OrOp::create(b, compare(ICmpPredicate::eq, from, null),
                             compare(ICmpPredicate::eq, to, null)),
          integer(i32, kLayerNullPointer));
  for (auto [i, weight] : llvm::enumerate(weights)) {
    Value isThis = compare(ICmpPredicate::eq, number, integer(i32, i));
    Block *before = b.getInsertionBlock();
    Region *region = before->getParent();
    Block *here = b.createBlock(region, region->end());
    SmallVector<Value> operands;
    WeightPacking packing{weight->tensor(), weight->packed};
    auto [logical, packed] = packing.argumentTypes();
    for (auto [pointer, type] : {std::pair(from, logical), {to, packed}}) {
      SmallVector<Value> sizes;
      for (int64_t dim : type.getShape())
        sizes.push_back(integer(i64, dim));
      appendMemRef(operands, pointer, sizes);
    }
    LLVM::CallOp::create(b, TypeRange(), packing.functionName(), operands);
    LLVM::ReturnOp::create(b, ValueRange{integer(i32, kLayerDone)});
    Block *next = b.createBlock(region, region->end());
    b.setInsertionPointToEnd(before);
    LLVM::CondBrOp::create(b, isThis, here, next);
    b.setInsertionPointToEnd(next);
  }
  LLVM::ReturnOp::create(b, ValueRange{integer(i32, kLayerNoSuchWeight)});
}

void LayerBuilder::addDescribe() {
  std::string text = describeLayer(signature);
  text.push_back('\0');
  b.setInsertionPointToEnd(module.getBody());
  auto global = LLVM::GlobalOp::create(
      b, LLVM::LLVMArrayType::get(b.getI8Type(), text.size()),
      /*isConstant=*/true, LLVM::Linkage::Internal,
      "moe_description_" + signature.name, b.getStringAttr(text));
  begin("_describe", ptr, {});
  Value address = LLVM::AddressOfOp::create(b, global);
  LLVM::ReturnOp::create(b, ValueRange{address});
}

/// The sizes of a tensor or state that a caller passed as one pointer.
SmallVector<Value> LayerBuilder::sizesOf(const LayerValue &value, Block &block,
                                         Value tokens) {
  SmallVector<Value> sizes;
  for (auto [i, dim] : llvm::enumerate(value.tensor().getShape())) {
    if (i) {
      sizes.push_back(integer(i64, dim));
      continue;
    }
    switch (value.rows.kind) {
    case RowCount::Fixed:
      sizes.push_back(integer(i64, value.rows.value));
      break;
    case RowCount::PerToken:
      sizes.push_back(
          LLVM::MulOp::create(b, tokens, integer(i64, value.rows.value)));
      break;
    case RowCount::Argument:
      sizes.push_back(block.getArgument(value.rows.value));
      break;
    }
  }
  return sizes;
}

void LayerBuilder::addMain(LLVM::LLVMFuncOp body) {
  // The body keeps its code under a name of its own.
  std::string hidden = "moe_body_" + signature.name;
  body.setSymName(hidden);
  SmallVector<Type> types;
  for (const LayerValue &argument : signature.arguments)
    types.push_back(argument.kind != LayerValue::Scalar ? ptr
                    : argument.type.isInteger(32)       ? i32
                                                        : i64);
  types.append(signature.results.size(), ptr);
  types.push_back(i64); // tokens
  if (signature.hasState())
    types.push_back(i64); // positions
  types.append({ptr, i64}); // arena, threads
  LLVM::LLVMFuncOp function = begin("", i32, types);
  Block &entry = function.getBody().front();
  unsigned next = signature.arguments.size() + signature.results.size();
  Value tokens = entry.getArgument(next++);
  Value positions = signature.hasState() ? entry.getArgument(next++) : Value();
  Value arena = entry.getArgument(next++);
  Value threads = entry.getArgument(next++);

  leaveIf(outside(tokens, 0, kLayerMaxTokens), integer(i32, kLayerBadTokens));
  leaveIf(outside(threads, 1, kLayerMaxThreads),
          integer(i32, kLayerBadThreads));
  if (positions) {
    leaveIf(outside(positions, 0, kLayerMaxTokens),
            integer(i32, kLayerBadTokens));
    // Caches are made of whole blocks of positions.
    Value rest = LLVM::AndOp::create(b, positions, integer(i64, 63));
    leaveIf(compare(ICmpPredicate::ne, rest, integer(i64, 0)),
            integer(i32, kLayerBadTokens));
  }
  for (const LayerValue &result : signature.results) {
    if (result.rows.kind != RowCount::Argument)
      continue;
    Value rows = entry.getArgument(result.rows.value);
    Value wrong = LLVM::OrOp::create(
        b, compare(ICmpPredicate::slt, rows, integer(i64, 0)),
        compare(ICmpPredicate::sgt, rows, tokens));
    leaveIf(wrong, integer(i32, kLayerBadTokens));
  }
  if (signature.isEmptyWithoutTokens())
    leaveIf(compare(ICmpPredicate::eq, tokens, integer(i64, 0)),
            integer(i32, kLayerDone));

  Value null = LLVM::ZeroOp::create(b, ptr);
  Value isNull = compare(ICmpPredicate::eq, arena, null);
  Value bits = address(arena);
  for (auto [i, argument] : llvm::enumerate(signature.arguments)) {
    if (argument.kind == LayerValue::Scalar)
      continue;
    Value pointer = entry.getArgument(i);
    isNull = LLVM::OrOp::create(b, isNull,
                                compare(ICmpPredicate::eq, pointer, null));
    if (argument.kind != LayerValue::Rows)
      bits = LLVM::OrOp::create(b, bits, address(pointer));
  }
  for (size_t i = 0; i < signature.results.size(); ++i) {
    Value pointer = entry.getArgument(signature.arguments.size() + i);
    isNull = LLVM::OrOp::create(b, isNull,
                                compare(ICmpPredicate::eq, pointer, null));
  }
  leaveIf(isNull, integer(i32, kLayerNullPointer));
  Value low = LLVM::AndOp::create(b, bits, integer(i64, kLayerAlignment - 1));
  leaveIf(compare(ICmpPredicate::ne, low, integer(i64, 0)),
          integer(i32, kLayerMisaligned));

  SmallVector<Value> operands;
  for (auto [i, argument] : llvm::enumerate(signature.arguments)) {
    Value value = entry.getArgument(i);
    switch (argument.kind) {
    case LayerValue::Scalar:
      operands.push_back(value);
      break;
    case LayerValue::Weight:
      appendMemRef(operands, value,
                   integer(i64, argument.packed.getBytes()));
      break;
    case LayerValue::State: {
      int64_t bytes = cast<lm::StateType>(argument.type).getBytesPerPosition();
      appendMemRef(operands, value,
                   Value(LLVM::MulOp::create(b, positions,
                                             integer(i64, bytes))));
      break;
    }
    case LayerValue::Rows:
      appendMemRef(operands, value, sizesOf(argument, entry, tokens));
      break;
    }
  }
  for (auto [i, result] : llvm::enumerate(signature.results))
    appendMemRef(operands, entry.getArgument(signature.arguments.size() + i),
                 sizesOf(result, entry, tokens));
  Value capacity = capacityFor(tokens);
  appendMemRef(operands, arena, arenaBytes(capacity, threads));
  operands.append(
      {capacity, positions ? positions : integer(i64, 0), threads});
  LLVM::CallOp::create(b, TypeRange(), hidden, operands);
  LLVM::ReturnOp::create(b, ValueRange{integer(i32, kLayerDone)});
}

void LayerBuilder::run() {
  addMain(module.lookupSymbol<LLVM::LLVMFuncOp>(signature.name));
  addArenaSize();
  addPackedSize();
  addPack();
  addDescribe();
}

void moec::addLayerFunctions(ModuleOp module,
                             const LayerSignatures &signatures) {
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    if (!function.isExternal())
      function.setVisibility_(LLVM::Visibility::Hidden);
  for (const LayerSignature &signature : signatures)
    LayerBuilder(module, signature).run();
}
