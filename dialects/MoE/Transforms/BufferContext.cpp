//===- BufferContext.cpp - What every function in buffer form is given ----===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/Transforms/BufferContext.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace mlir::moe;

static MemRefType listOf(Type element) {
  return MemRefType::get({ShapedType::kDynamic}, element);
}

void BufferContext::addArguments(Block &block, OpBuilder &builder) {
  Location loc = builder.getUnknownLoc();
  MemRefType bytes = listOf(builder.getI8Type());
  Type index = builder.getIndexType();
  weights = block.addArgument(bytes, loc);
  record = block.addArgument(listOf(index), loc);
  arena = block.addArgument(bytes, loc);
  scratch = block.addArgument(bytes, loc);
  routeIds = block.addArgument(listOf(builder.getI32Type()), loc);
  routeWeights = block.addArgument(listOf(builder.getF32Type()), loc);
  capacity = block.addArgument(index, loc);
  extent = block.addArgument(index, loc);
  keyType = block.addArgument(index, loc);
  valueType = block.addArgument(index, loc);
  slots = block.addArgument(index, loc);
}

void BufferContext::addEntryArguments(Block &block, OpBuilder &builder) {
  Location loc = builder.getUnknownLoc();
  Type index = builder.getIndexType();
  arena = block.addArgument(listOf(builder.getI8Type()), loc);
  capacity = block.addArgument(index, loc);
  extent = block.addArgument(index, loc);
  slots = block.addArgument(index, loc);
}

void BufferContext::appendTo(SmallVectorImpl<Value> &operands) const {
  operands.append({weights, record, arena, scratch, routeIds, routeWeights,
                   capacity, extent, keyType, valueType, slots});
}

Value mlir::moe::buildRecord(OpBuilder &builder, Location loc,
                             ArrayRef<int64_t> record) {
  auto module =
      builder.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  int64_t size = record.size();
  auto type = MemRefType::get({size}, builder.getIndexType());
  // The newest record stands first: its number says what is free.
  unsigned number = 0;
  for (auto global : module.getOps<memref::GlobalOp>())
    if (StringRef digits = global.getSymName(); digits.consume_front("record_"))
      if (unsigned taken; !digits.getAsInteger(10, taken)) {
        number = taken + 1;
        break;
      }
  std::string name = "record_" + std::to_string(number);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    auto values = DenseElementsAttr::get(
        RankedTensorType::get({size}, builder.getIndexType()), record);
    memref::GlobalOp::create(builder, loc, name,
                             builder.getStringAttr("private"), type, values,
                             /*constant=*/true, /*alignment=*/IntegerAttr());
  }
  Value global = memref::GetGlobalOp::create(builder, loc, type, name);
  return memref::CastOp::create(builder, loc, listOf(builder.getIndexType()),
                                global);
}

void mlir::moe::addScratchPlaceholder(OpBuilder &builder, Location loc,
                                      BufferContext &context) {
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  auto view = memref::ViewOp::create(builder, loc, listOf(builder.getI8Type()),
                                     context.arena, zero, ValueRange{zero});
  view->setAttr(kScratchAttr, builder.getUnitAttr());
  context.scratch = view;
}
