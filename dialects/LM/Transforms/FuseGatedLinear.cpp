//===- FuseGatedLinear.cpp - lm.gated of a linear becomes its epilogue ----===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/LM/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::lm {
#define GEN_PASS_DEF_LMFUSEGATEDLINEAR
#include "dialects/LM/Transforms/Passes.h.inc"
} // namespace mlir::lm

using namespace mlir;
using namespace mlir::lm;

namespace {
struct FuseGated : OpRewritePattern<GatedOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GatedOp gated,
                                PatternRewriter &rewriter) const override {
    auto linear = gated.getX().getDefiningOp<LinearOp>();
    if (!linear || !linear->hasOneUse() || linear.getBias() ||
        linear.getClip() || gated.getNumResults() == 0)
      return failure();
    rewriter.replaceOpWithNewOp<GatedLinearOp>(
        gated, gated.getResultTypes(), linear.getX(), linear.getWeight(),
        gated.getFunction(), ValueRange(), FormatAttr());
    return success();
  }
};

struct FuseGatedLinearPass
    : lm::impl::LMFuseGatedLinearBase<FuseGatedLinearPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseGated>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
