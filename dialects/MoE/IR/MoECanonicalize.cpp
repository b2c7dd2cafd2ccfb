//===- MoECanonicalize.cpp - Simpler ops that compute the same bits -------===//
//
// Part of moe-mlir. What changes a bit, or a NaN, is left to phase `fused`.
//
//===----------------------------------------------------------------------===//

#include "dialects/LM/IR/ShapeChecks.h"
#include "dialects/MoE/IR/MoEDialect.h"

#include "mlir/IR/PatternMatch.h"
#include <cmath>

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// Configurations of routers
//===----------------------------------------------------------------------===//

static RouterConfigAttr withChoice(RouterConfigAttr config, SelectKey select,
                                   int64_t groups, int64_t topGroups,
                                   GroupScore groupScore, MaskedKey masked) {
  return RouterConfigAttr::get(config.getContext(), config.getScore(), select,
                               config.getTopK(), groups, topGroups, groupScore,
                               masked, config.getRenormalize(), config.getP(),
                               config.getEps(), config.getScale());
}

/// Drops groups that all win, and with them how they are ranked and masked.
static RouterConfigAttr withoutIdleGroups(RouterConfigAttr config) {
  if (config.getTopGroups() != config.getGroups())
    return config;
  return withChoice(config, config.getSelect(), 1, 1, GroupScore::Max,
                    MaskedKey::NegInf);
}

namespace {
template <typename OpTy> struct DropIdleGroups : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    RouterConfigAttr simpler = withoutIdleGroups(op.getConfig());
    if (simpler == op.getConfig())
      return failure();
    rewriter.modifyOpInPlace(op, [&] { op.setConfigAttr(simpler); });
    return success();
  }
};

/// Static ids are not chosen: keys, bias and groups do nothing.
struct DropKeysOfStaticIds : OpRewritePattern<RouterOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RouterOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getStaticIds())
      return failure();
    RouterConfigAttr simpler =
        withChoice(op.getConfig(), SelectKey::ByScore, 1, 1, GroupScore::Max,
                   MaskedKey::NegInf);
    if (simpler == op.getConfig())
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      op.setConfigAttr(simpler);
      op.getBiasMutable().clear();
    });
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

struct DropUnusedPlan : OpRewritePattern<RouteOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RouteOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getNumResults() != 3 || !op.getResult(2).use_empty())
      return failure();
    SmallVector<Type> types(op.getResultTypes());
    types.pop_back();
    auto route = RouteOp::create(rewriter, op.getLoc(), types, op.getX(),
                                 op.getGate(), op.getBias(), op.getConfig(),
                                 op.getExperts(), ValueRange());
    rewriter.replaceAllUsesWith(op.getResult(0), route.getResult(0));
    rewriter.replaceAllUsesWith(op.getResult(1), route.getResult(1));
    rewriter.eraseOp(op);
    return success();
  }
};

/// Only `probability` looks at weights.
struct DropUnusedWeights : OpRewritePattern<DispatchOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DispatchOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getWeights().empty() || op.getOverflow() == Overflow::Probability)
      return failure();
    rewriter.modifyOpInPlace(op, [&] { op.getWeightsMutable().clear(); });
    return success();
  }
};
} // namespace

/// Most rows that an expert takes. T * k choices are known.
static int64_t capacityOf(DispatchOp op, int64_t choices) {
  int64_t least = op.getMinCapacity();
  if (op.getCapacity())
    return std::max<int64_t>(*op.getCapacity(), least);
  double factor = op.getCapacityFactor()->convertToDouble();
  double capacity = std::ceil(factor * choices / op.getExperts());
  return std::max<int64_t>(std::min<double>(capacity, choices), least);
}

/// The number of experts that ids were chosen from, each once a token; nothing
/// if that is not known.
static std::optional<int64_t> getChosenFrom(Value ids) {
  if (auto router = ids.getDefiningOp<RouterOp>())
    if (!router.getStaticIds())
      return lm::columnsOf(router.getLogits());
  if (auto route = ids.getDefiningOp<RouteOp>())
    return route.getExperts();
  return std::nullopt;
}

namespace {
/// A capacity that no expert can exceed.
struct DropIdleCapacity : OpRewritePattern<DispatchOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DispatchOp op,
                                PatternRewriter &rewriter) const override {
    int64_t tokens = lm::rowsOf(op.getIds());
    if (op.getOverflow() == Overflow::None || ShapedType::isDynamic(tokens))
      return failure();
    int64_t choices = tokens * lm::columnsOf(op.getIds());
    int64_t most = getChosenFrom(op.getIds()) ? tokens : choices;
    if (capacityOf(op, choices) < most)
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      op.removeCapacityAttr();
      op.removeCapacityFactorAttr();
      op.setMinCapacity(1);
      op.setOverflow(Overflow::None);
    });
    return success();
  }
};

/// Zero-compute experts that the router cannot choose.
struct DropIdleIdentity : OpRewritePattern<CombineOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CombineOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getIdentity())
      return failure();
    std::optional<int64_t> experts = getChosenFrom(op.getIds());
    if (!experts || int64_t(*op.getIdentityFrom()) < *experts)
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      op.getIdentityMutable().clear();
      op.getIdsMutable().clear();
      op.removeIdentityFromAttr();
    });
    return success();
  }
};
} // namespace

void LayerOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  patterns.add<DropIdleGroups<LayerOp>>(context);
}

void RouterOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  patterns.add<DropIdleGroups<RouterOp>, DropKeysOfStaticIds>(context);
}

void RouteOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  patterns.add<DropIdleGroups<RouteOp>, DropUnusedPlan>(context);
}

void DispatchOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *context) {
  patterns.add<DropUnusedWeights, DropIdleCapacity>(context);
}

void CombineOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                            MLIRContext *context) {
  patterns.add<DropIdleIdentity>(context);
}
