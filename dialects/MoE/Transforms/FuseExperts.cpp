//===- FuseExperts.cpp - two grouped products become moe.expert_ffn
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOEFUSEEXPERTS
#include "dialects/MoE/Transforms/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct FuseExperts : OpRewritePattern<GroupedMatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  /// `down` is the second product; its input must be a gated first one.
  LogicalResult matchAndRewrite(GroupedMatmulOp down,
                                PatternRewriter &rewriter) const override {
    auto up = down.getX().getDefiningOp<GroupedMatmulOp>();
    if (!up || down.getNumResults() == 0 || !up->hasOneUse() ||
        !up.getGather() || !up.getFunction() || down.getGather() ||
        down.getFunction() || down.getPaired() || !down.getEpilogue().empty() ||
        up.getPlan().front() != down.getPlan().front())
      return failure();
    if (up.getBias() || up.getRowScale() || down.getBias() ||
        down.getRowScale())
      return failure();
    Type element = getElementTypeOrSelf(up.getResult(0).getType());
    if (element != getElementTypeOrSelf(up.getX().getType()) ||
        !getElementTypeOrSelf(down.getResult(0).getType()).isF32())
      return failure();
    rewriter.replaceOpWithNewOp<ExpertFFNOp>(
        down, down.getResultTypes(), up.getX(), up.getWeight(),
        down.getWeight(), up.getPlan(), *up.getFunction(), ValueRange());
    return success();
  }
};

struct FuseExpertsPass : moe::impl::MoEFuseExpertsBase<FuseExpertsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseExperts>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
