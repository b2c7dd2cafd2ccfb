//===- OutlineKernels.cpp - Each op becomes a parallel call of a kernel ---===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Kernels/Passes.h"

#include "OpKernels.h"
#include "dialects/MoE/Transforms/BufferContext.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace moec::kernels {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "lib/Kernels/Passes.h.inc"
} // namespace moec::kernels

using namespace mlir;
using namespace moec::kernels;

int64_t moec::kernels::getScratchBytes(ModuleOp module) {
  Target target = Target::of(module);
  int64_t most = 0;
  module.walk([&](Operation *op) {
    if (isKernelOp(op))
      most = std::max(most, getScratchBytes(op, target));
  });
  return llvm::alignTo(most, 64);
}

namespace {
struct OutlineKernelsPass
    : moec::kernels::impl::OutlineKernelsBase<OutlineKernelsPass> {
  void runOnOperation() override;

private:
  func::FuncOp getKernel(Operation *op);
  LogicalResult outline(Operation *op, Value scratch, Value slots);
  scf::ForallOp callInParallel(OpBuilder &builder, Operation *op, Value scratch,
                               Value slots);

  /// Kernels by what makes two ops equal: name, attributes, operand types.
  llvm::StringMap<func::FuncOp> kernels;
  int64_t scratchBytes = 0;
};
} // namespace

static std::string describe(Operation *op) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << op->getName() << op->getAttrDictionary() << '(';
  llvm::interleaveComma(op->getOperandTypes(), os);
  os << ')';
  for (Region &region : op->getRegions())
    for (Block &block : region)
      for (Operation &inner : block)
        inner.print(os, OpPrintingFlags().printGenericOpForm().useLocalScope());
  return text;
}

func::FuncOp OutlineKernelsPass::getKernel(Operation *op) {
  auto [it, isNew] = kernels.try_emplace(describe(op));
  if (!isNew)
    return it->second;
  OpBuilder builder(&getContext());
  builder.setInsertionPointToEnd(getOperation().getBody());
  Type index = builder.getIndexType();
  SmallVector<Type> types(op->getOperandTypes());
  types.append({index, index,
                MemRefType::get({ShapedType::kDynamic}, builder.getI8Type())});
  std::string name = ("kernel_" + op->getName().stripDialect() +
                      (op->hasAttr(kSegmentsFirstAttr) ? "_segments_" : "_") +
                      llvm::Twine(kernels.size() - 1))
                         .str();
  auto function = func::FuncOp::create(builder, op->getLoc(), name,
                                       builder.getFunctionType(types, {}));
  function.setPrivate();
  function->setAttr("lm.kernel", builder.getUnitAttr());
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToStart(block);
  IRMapping mapping;
  mapping.map(op->getOperands(),
              block->getArguments().take_front(op->getNumOperands()));
  builder.clone(*op, mapping);
  func::ReturnOp::create(builder, op->getLoc());
  return it->second = function;
}

/// A loop over slots that calls the kernel of `op`.
scf::ForallOp OutlineKernelsPass::callInParallel(OpBuilder &builder,
                                                 Operation *op, Value scratch,
                                                 Value slots) {
  func::FuncOp kernel = getKernel(op);
  Location loc = op->getLoc();
  // What slots leave for each other lies in the scratch of all of them.
  bool takesAll = isa<lm::AttentionOp>(op);
  return scf::ForallOp::create(
      builder, loc, ArrayRef<OpFoldResult>{slots}, ValueRange(), std::nullopt,
      [&](OpBuilder &b, Location, ValueRange ivs) {
        Value mine = scratch;
        if (!takesAll) {
          Value each = arith::ConstantIndexOp::create(b, loc, scratchBytes);
          Value offset = arith::MulIOp::create(b, loc, ivs[0], each);
          mine = memref::ViewOp::create(b, loc,
                                        cast<MemRefType>(scratch.getType()),
                                        scratch, offset, ValueRange{each});
        }
        SmallVector<Value> operands(op->getOperands());
        operands.append({ivs[0], slots, mine});
        func::CallOp::create(b, loc, kernel, operands);
        scf::InParallelOp::create(b, loc);
      });
}

LogicalResult OutlineKernelsPass::outline(Operation *op, Value scratch,
                                          Value slots) {
  std::string reason;
  if (!hasKernel(op, reason))
    return op->emitOpError("cannot be compiled for this target: ") << reason;
  OpBuilder builder(op);
  if (auto attention = dyn_cast<lm::AttentionOp>(op)) {
    Target target = Target::of(getOperation());
    Emitter e(builder, op->getLoc(), target);
    e.when(needsSegmentsFirst(e, attention, slots, scratch), [&] {
      op->setAttr(kSegmentsFirstAttr, builder.getUnitAttr());
      callInParallel(builder, op, scratch, slots)
          ->setAttr(kOptionalLoopAttr, builder.getUnitAttr());
      op->removeAttr(kSegmentsFirstAttr);
    });
  }
  callInParallel(builder, op, scratch, slots);
  op->erase();
  return success();
}

void OutlineKernelsPass::runOnOperation() {
  ModuleOp module = getOperation();
  auto arena = module->getAttrOfType<DictionaryAttr>(mlir::moe::kArenaAttr);
  auto perThread =
      arena ? arena.getAs<IntegerAttr>("per_thread") : IntegerAttr();
  if (!perThread) {
    module.emitError("expected lm.arena: run moe-plan-arena first");
    return signalPassFailure();
  }
  scratchBytes = perThread.getInt();
  SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
  for (func::FuncOp function : functions) {
    if (function.isExternal())
      continue;
    Block &block = function.getBody().front();
    Value slots =
        block.getNumArguments() ? Value(block.getArguments().back()) : Value();
    Value scratch;
    for (auto view : block.getOps<memref::ViewOp>())
      if (view->hasAttr(mlir::moe::kScratchAttr))
        scratch = view;
    // Private functions are given it; an entry function has a view of it.
    unsigned context = mlir::moe::BufferContext::kArguments;
    if (!scratch && function.isPrivate() && block.getNumArguments() >= context)
      scratch = block.getArgument(block.getNumArguments() - context + 3);
    bool hasKernels =
        llvm::any_of(block, [](Operation &op) { return isKernelOp(&op); });
    if (hasKernels && (!scratch || !slots)) {
      function.emitOpError("has no scratch or no slots: expected the form that "
                           "phase buffers leaves");
      return signalPassFailure();
    }
    for (Operation &op : llvm::make_early_inc_range(block))
      if (isKernelOp(&op) && failed(outline(&op, scratch, slots)))
        return signalPassFailure();
  }
}
