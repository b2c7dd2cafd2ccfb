//===- SplitPhases.cpp - one op, one parallel loop
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOESPLITPHASES
#include "dialects/MoE/Transforms/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct SplitRoute : OpRewritePattern<RouteOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RouteOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getNumResults() != 3)
      return failure();
    SmallVector<Type> types(op.getResultTypes());
    auto rows =
        RouteOp::create(rewriter, op.getLoc(), ArrayRef(types).take_front(2),
                        op.getX(), op.getGate(), op.getBias(), op.getConfig(),
                        op.getExperts(), ValueRange());
    Value plan =
        DispatchOp::create(rewriter, op.getLoc(), ArrayRef(types).drop_front(2),
                           rows.getResult(1), ValueRange(), op.getExperts(),
                           IntegerAttr(), FloatAttr(), 1, Overflow::None,
                           ValueRange())
            .getResult(0);
    rewriter.replaceOp(op, {rows.getResult(0), rows.getResult(1), plan});
    return success();
  }
};

struct SplitExpertFFN : OpRewritePattern<ExpertFFNOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ExpertFFNOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getNumResults() == 0)
      return failure();
    int64_t width = lm::getWeightShape(op.getDown().getType())[2];
    auto hidden =
        RankedTensorType::get({ShapedType::kDynamic, width},
                              getElementTypeOrSelf(op.getX().getType()));
    auto function = lm::ActivationAttr::get(getContext(), op.getFunction());
    Value h = GroupedMatmulOp::create(
                  rewriter, op.getLoc(), TypeRange{hidden}, op.getX(),
                  op.getGateUp(), op.getPlan(), Value(), Value(),
                  /*gather=*/true, /*paired=*/false, function, ValueRange(),
                  lm::FormatAttr())
                  .getResult(0);
    rewriter.replaceOpWithNewOp<GroupedMatmulOp>(
        op, op.getResultTypes(), h, op.getDown(), op.getPlan(), Value(),
        Value(), /*gather=*/false, /*paired=*/false, lm::ActivationAttr(),
        ValueRange(), lm::FormatAttr());
    return success();
  }
};

struct SplitAttention : OpRewritePattern<lm::AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(lm::AttentionOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getK() || op.getNumResults() == 0)
      return failure();
    lm::AppendOp::create(rewriter, op.getLoc(), op.getK(), op.getV(),
                         op.getState(), op.getPosition(), op.getExtent(),
                         op.getTypes(), op.getStateTypeAttr());
    rewriter.replaceOpWithNewOp<lm::AttentionOp>(
        op, op.getResultTypes(), op.getQ(), Value(), Value(), op.getState(),
        op.getPosition(), op.getSinks(), op.getHeadsAttr(), op.getScaleAttr(),
        op.getWindowAttr(), ValueRange(), op.getExtent(),
        op.getTypes(), op.getStateTypeAttr());
    return success();
  }
};

struct SplitPhasesPass : moe::impl::MoESplitPhasesBase<SplitPhasesPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<SplitRoute, SplitExpertFFN, SplitAttention>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
