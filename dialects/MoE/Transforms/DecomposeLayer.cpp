//===- DecomposeLayer.cpp - moe.layer in terms of smaller ops
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOEDECOMPOSELAYER
#include "dialects/MoE/Transforms/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// tensor<rows x columns x element> with the rows of `like`.
static RankedTensorType rowsLike(Value like, int64_t columns, Type element) {
  int64_t rows = cast<RankedTensorType>(like.getType()).getDimSize(0);
  return RankedTensorType::get({rows, columns}, element);
}

/// Adds the shared expert's output, gated if the layer says so.
static Value buildShared(LayerOp op, Value routed, PatternRewriter &rewriter) {
  Location loc = op.getLoc();
  Value x = op.getX();
  int64_t width = lm::getWeightShape(op.getSharedDown().getType())[1];
  Type element = cast<RankedTensorType>(x.getType()).getElementType();
  auto result = cast<RankedTensorType>(op.getResult().getType());
  Value pair = lm::LinearOp::create(
                   rewriter, loc, rowsLike(x, 2 * width, rewriter.getF32Type()),
                   x, op.getSharedGateUp(), Value(), FloatAttr(), ValueRange(),
                   lm::FormatAttr())
                   .getResult(0);
  Value hidden = lm::GatedOp::create(rewriter, loc, rowsLike(x, width, element),
                                     pair, op.getFunction(), ValueRange())
                     .getResult(0);
  auto wide = result.clone(rewriter.getF32Type());
  Value y =
      lm::LinearOp::create(rewriter, loc, wide, hidden, op.getSharedDown(),
                           Value(), FloatAttr(), ValueRange(),
                           lm::FormatAttr())
          .getResult(0);
  if (!op.getSharedGate())
    return lm::AddOp::create(rewriter, loc, result, routed, y, ValueRange())
        .getResult(0);
  Value scale = lm::LinearOp::create(
                    rewriter, loc, rowsLike(x, 1, rewriter.getF32Type()), x,
                    op.getSharedGate(), Value(), FloatAttr(), ValueRange(),
                    lm::FormatAttr())
                    .getResult(0);
  return lm::ScaledAddOp::create(rewriter, loc, result, routed, y, scale,
                                 lm::Activation::Sigmoid, ValueRange())
      .getResult(0);
}

namespace {
struct DecomposeLayer : OpRewritePattern<LayerOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(LayerOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value x = op.getX();
    ArrayRef<int64_t> down = lm::getWeightShape(op.getDown().getType());
    int64_t experts = down[0], hidden = down[1], width = down[2];
    int64_t topK = op.getConfig().getTopK();
    Type f32 = rewriter.getF32Type();
    Type element = cast<RankedTensorType>(x.getType()).getElementType();
    auto result = cast<RankedTensorType>(op.getResult().getType());

    Value logits =
        lm::LinearOp::create(rewriter, loc, rowsLike(x, experts, f32), x,
                             op.getGate(), Value(), FloatAttr(), ValueRange(),
                             lm::FormatAttr())
            .getResult(0);
    auto router = RouterOp::create(
        rewriter, loc,
        TypeRange{rowsLike(x, topK, f32),
                  rowsLike(x, topK, rewriter.getI32Type())},
        logits, op.getBias(), Value(), op.getConfig(), ValueRange());
    Value weights = router.getResult(0), ids = router.getResult(1);
    if (op.getRecord())
      RecordOp::create(rewriter, loc, weights, ids, *op.getRecord(),
                       ValueRange(), ValueRange());
    auto planType = PlanType::get(getContext(), experts, topK);
    Value plan =
        DispatchOp::create(rewriter, loc, TypeRange{planType}, ids,
                           ValueRange(), experts, IntegerAttr(), FloatAttr(), 1,
                           Overflow::None, ValueRange())
            .getResult(0);
    auto dynamicRows = [&](int64_t columns, Type type) {
      return RankedTensorType::get({ShapedType::kDynamic, columns}, type);
    };
    Value h = GroupedMatmulOp::create(
                  rewriter, loc, TypeRange{dynamicRows(width, element)}, x,
                  op.getGateUp(), plan, Value(), Value(), /*gather=*/true,
                  /*paired=*/false, op.getFunctionAttr(), ValueRange(),
                  lm::FormatAttr())
                  .getResult(0);
    Value y = GroupedMatmulOp::create(
                  rewriter, loc, TypeRange{dynamicRows(hidden, f32)}, h,
                  op.getDown(), plan, Value(), Value(), /*gather=*/false,
                  /*paired=*/false, lm::ActivationAttr(), ValueRange(),
                  lm::FormatAttr())
                  .getResult(0);
    bool shared = bool(op.getSharedGateUp());
    Value sum =
        CombineOp::create(rewriter, loc,
                          TypeRange{shared ? result.clone(f32) : result}, y,
                          weights, plan, op.getResidual(), Value(), Value(),
                          Value(), IntegerAttr(), ValueRange())
            .getResult(0);
    rewriter.replaceOp(op, shared ? buildShared(op, sum, rewriter) : sum);
    return success();
  }
};

struct DecomposeLayerPass
    : moe::impl::MoEDecomposeLayerBase<DecomposeLayerPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<DecomposeLayer>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
