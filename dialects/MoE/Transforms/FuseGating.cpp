//===- FuseGating.cpp - projection, router and dispatch become moe.route
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOEFUSEGATING
#include "dialects/MoE/Transforms/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct FuseGating : OpRewritePattern<DispatchOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DispatchOp dispatch,
                                PatternRewriter &rewriter) const override {
    auto router = dispatch.getIds().getDefiningOp<RouterOp>();
    if (!router || dispatch.getNumResults() == 0 || router.getStaticIds() ||
        dispatch.getOverflow() != Overflow::None)
      return failure();
    auto linear = router.getLogits().getDefiningOp<lm::LinearOp>();
    if (!linear || !linear->hasOneUse() || linear.getBias() ||
        linear.getClip() ||
        !getElementTypeOrSelf(router.getLogits().getType()).isF32())
      return failure();
    // A dispatch may provide for more experts than the router chooses from.
    auto logits = cast<RankedTensorType>(router.getLogits().getType());
    if (logits.getDimSize(1) != int64_t(dispatch.getExperts()))
      return failure();
    SmallVector<Type> types(router.getResultTypes());
    types.append(dispatch->result_type_begin(), dispatch->result_type_end());
    // At the router's place: others may use its results before the dispatch.
    rewriter.setInsertionPoint(router);
    auto route = RouteOp::create(rewriter, router.getLoc(), types,
                                 linear.getX(), linear.getWeight(),
                                 router.getBias(), router.getConfig(),
                                 dispatch.getExperts(), ValueRange());
    rewriter.replaceOp(dispatch, route.getResult(2));
    rewriter.replaceOp(router, {route.getResult(0), route.getResult(1)});
    rewriter.eraseOp(linear);
    return success();
  }
};

struct FuseGatingPass : moe::impl::MoEFuseGatingBase<FuseGatingPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseGating>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
