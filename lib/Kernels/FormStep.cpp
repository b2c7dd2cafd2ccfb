//===- FormStep.cpp - One parallel region an entry function ---------------===//
//
// Part of moe-mlir. A region a step, not a region a loop: forking costs more
// than the loops of a small model's layer, and convert-scf-to-openmp would
// fork at every scf.parallel.
//
//===----------------------------------------------------------------------===//

#include "moe/Kernels/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace moec::kernels {
#define GEN_PASS_DEF_FORMSTEP
#include "lib/Kernels/Passes.h.inc"
} // namespace moec::kernels

using namespace mlir;

/// scf.forall over slots -> omp.wsloop, statically scheduled.
static void shareLoop(scf::ForallOp forall) {
  OpBuilder builder(forall);
  Location loc = forall.getLoc();
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  Value upper = forall.getUpperBound(builder)[0];
  omp::WsloopOperands clauses;
  bool isOptional = forall->hasAttr(moec::kernels::kOptionalLoopAttr);
  if (isOptional)
    clauses.nowait = builder.getUnitAttr();
  auto wsloop = omp::WsloopOp::create(builder, loc, clauses);
  if (isOptional)
    omp::BarrierOp::create(builder, loc);
  builder.createBlock(&wsloop.getRegion());
  omp::LoopNestOperands operands;
  operands.loopLowerBounds = {zero};
  operands.loopUpperBounds = {upper};
  operands.loopSteps = {one};
  auto nest = omp::LoopNestOp::create(builder, loc, operands);
  Block *body = builder.createBlock(&nest.getRegion());
  BlockArgument iv = body->addArgument(builder.getIndexType(), loc);
  forall.getInductionVar(0).replaceAllUsesWith(iv);
  forall.getTerminator().erase();
  body->getOperations().splice(body->end(), forall.getBody()->getOperations());
  builder.setInsertionPointToEnd(body);
  omp::YieldOp::create(builder, loc);
  forall.erase();
}

/// Moves the body of an entry function into one omp.parallel.
static LogicalResult formRegion(func::FuncOp function) {
  Block &block = function.getBody().front();
  if (block.getNumArguments() == 0 ||
      !block.getArguments().back().getType().isIndex())
    return function.emitOpError(
        "expected the number of slots as the last argument");
  Operation *ret = block.getTerminator();
  OpBuilder builder(ret);
  Location loc = function.getLoc();
  // Every entry function's last argument is the number of slots.
  Value slots = block.getArguments().back();
  builder.setInsertionPointToStart(&block);
  Value threads =
      arith::IndexCastOp::create(builder, loc, builder.getI32Type(), slots);
  builder.setInsertionPoint(ret);
  omp::ParallelOperands operands;
  operands.numThreads = threads;
  auto parallel = omp::ParallelOp::create(builder, loc, operands);
  Block *body = builder.createBlock(&parallel.getRegion());
  auto first = std::next(threads.getDefiningOp()->getIterator());
  body->getOperations().splice(body->end(), block.getOperations(), first,
                               parallel->getIterator());
  builder.setInsertionPointToEnd(body);
  omp::TerminatorOp::create(builder, loc);
  return success();
}

namespace {
struct FormStepPass : moec::kernels::impl::FormStepBase<FormStepPass> {
  void runOnOperation() override {
    SmallVector<scf::ForallOp> loops;
    getOperation().walk([&](scf::ForallOp forall) { loops.push_back(forall); });
    llvm::for_each(loops, shareLoop);
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isPrivate() && !function.isExternal() &&
          failed(formRegion(function)))
        return signalPassFailure();
  }
};
} // namespace
