//===- VerifyBuffers.cpp - Nothing is allocated or copied -----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Verifier.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOEVERIFYBUFFERS
#include "dialects/MoE/Transforms/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// True for types that phase `buffers` leaves behind.
static bool isValueType(Type type) {
  return isa<TensorType, PlanType, lm::PackedType, lm::StateType>(type);
}

static LogicalResult verifyOp(Operation *op) {
  if (isa<memref::AllocOp, memref::AllocaOp>(op))
    return op->emitOpError("allocates: every buffer must lie in the arena");
  if (isa<memref::CopyOp>(op))
    return op->emitOpError("copies a buffer");
  SmallVector<Type> types(op->getOperandTypes());
  llvm::append_range(types, op->getResultTypes());
  if (auto function = dyn_cast<func::FuncOp>(op)) {
    llvm::append_range(types, function.getArgumentTypes());
    llvm::append_range(types, function.getResultTypes());
  }
  for (Type type : types)
    if (isValueType(type))
      return op->emitOpError("is not in buffer form: it has type ") << type;
  return success();
}

namespace {
struct VerifyBuffersPass : moe::impl::MoEVerifyBuffersBase<VerifyBuffersPass> {
  void runOnOperation() override {
    WalkResult result = getOperation()->walk([](Operation *op) {
      return failed(verifyOp(op)) ? WalkResult::interrupt()
                                  : WalkResult::advance();
    });
    // Also where the pass manager does not verify: kernels rely on it.
    if (result.wasInterrupted() || failed(verify(getOperation())))
      signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
