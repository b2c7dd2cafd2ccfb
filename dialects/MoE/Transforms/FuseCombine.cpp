//===- FuseCombine.cpp - a residual becomes an operand of moe.combine
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOEFUSECOMBINE
#include "dialects/MoE/Transforms/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct FuseCombine : OpRewritePattern<lm::AddOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(lm::AddOp add,
                                PatternRewriter &rewriter) const override {
    if (add.getNumResults() == 0)
      return failure();
    for (bool swapped : {false, true}) {
      Value sum = swapped ? add.getRhs() : add.getLhs();
      Value residual = swapped ? add.getLhs() : add.getRhs();
      auto combine = sum.getDefiningOp<CombineOp>();
      if (!combine || !combine->hasOneUse() || combine.getResidual() ||
          combine.getBias() || combine.getIdentity() ||
          !getElementTypeOrSelf(sum.getType()).isF32())
        continue;
      // At the addition: the residual may be made after the combine.
      rewriter.replaceOpWithNewOp<CombineOp>(
          add, add.getResultTypes(), combine.getY(), combine.getWeights(),
          combine.getPlan(), residual, Value(), Value(), Value(), IntegerAttr(),
          ValueRange());
      return success();
    }
    return failure();
  }
};

struct FuseCombinePass : moe::impl::MoEFuseCombineBase<FuseCombinePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseCombine>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
