//===- ExpandKernels.cpp - The op in each kernel becomes loops ------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Kernels/Passes.h"

#include "OpKernels.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace moec::kernels {
#define GEN_PASS_DEF_EXPANDKERNELS
#include "lib/Kernels/Passes.h.inc"
} // namespace moec::kernels

using namespace mlir;
using namespace moec::kernels;

static void expand(func::FuncOp kernel, const Target &target) {
  Block &block = kernel.getBody().front();
  Operation *op = &block.front();
  OpBuilder builder(op);
  Emitter emitter(builder, op->getLoc(), target);
  auto arguments = block.getArguments().take_back(3);
  emitKernelOf(emitter, op, {arguments[0], arguments[1], arguments[2]});
  op->erase();
  kernel->removeAttr("lm.kernel");
}

namespace {
struct ExpandKernelsPass
    : moec::kernels::impl::ExpandKernelsBase<ExpandKernelsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    Target target = Target::of(module);
    SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
    for (func::FuncOp function : functions)
      if (function->hasAttr("lm.kernel"))
        expand(function, target);
  }
};
} // namespace
