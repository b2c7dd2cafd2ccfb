//===- Router.cpp - Kernels that choose experts ---------------------------===//
//
// Part of moe-mlir. Takes the largest keys, which RouterKeys.cpp makes, and
// turns the scores of what was chosen into weights.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "Keys.h"
#include "Matmul.h"
#include "OpKernels.h"
#include "RowRouter.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;
using namespace moec::kernels;

void RowRouter::emitChoices(Value logits, Value logitsRow, Value row) {
  VectorType i64 = e.vectorOf(e.b.getI64Type());
  int64_t lowest = std::numeric_limits<int64_t>::min();
  e.loop(e.index(0), e.index(config.getTopK()), 1, [&](Value slot) {
    Value id;
    Value isMasked;
    if (staticIds) {
      id = e.toIndex(
          memref::LoadOp::create(e.b, e.loc, staticIds, ValueRange{row, slot}));
    } else {
      Value most = e.integer(i64, lowest);
      most = e.loop(e.index(0), e.index(padded()), e.lanes, ValueRange{most},
                    [&](Value c, ValueRange acc) -> SmallVector<Value> {
                      Value v = vector::LoadOp::create(e.b, e.loc, i64, keys,
                                                       ValueRange{c});
                      return {arith::MaxSIOp::create(e.b, e.loc, v, acc[0])};
                    })[0];
      Value best = vector::ReductionOp::create(
          e.b, e.loc, vector::CombiningKind::MAXSI, most);
      Type scalar = e.b.getI64Type();
      Value low = arith::AndIOp::create(e.b, e.loc, best,
                                        e.integer(scalar, 0xffffffff));
      Value number =
          arith::SubIOp::create(e.b, e.loc, e.integer(scalar, 0xffffffff), low);
      id = arith::IndexCastOp::create(e.b, e.loc, e.b.getIndexType(), number);
      // Chosen for want of eligible experts.
      Value high =
          arith::ShRSIOp::create(e.b, e.loc, best, e.integer(scalar, 32));
      isMasked = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq,
                                       high, e.integer(scalar, kIneligibleKey));
      memref::StoreOp::create(e.b, e.loc, e.integer(scalar, lowest), keys,
                              ValueRange{id});
    }
    memref::StoreOp::create(e.b, e.loc, e.toI32(id), ids,
                            ValueRange{row, slot});
    Value weight = config.getRenormalize() == Renormalize::SoftmaxOverChosen
                       ? e.loadScalar(logits, {logitsRow, id})
                       : e.loadScalar(scores, {id});
    if (isMasked)
      weight = e.select(
          isMasked,
          e.f32(config.getRenormalize() == Renormalize::SoftmaxOverChosen
                    ? -std::numeric_limits<double>::infinity()
                    : 0.0),
          weight);
    e.storeScalar(weight, weights, {row, slot});
  });
}

/// Divides by the p-norm. Powers are f64: the error of exp(p * log(x)) grows
/// with p * log(x), which f32 has no digits to spare for.
void RowRouter::emitLp(Value row) {
  Type f64 = e.b.getF64Type();
  double p = config.getPOr(2);
  int64_t k = config.getTopK();
  auto at = [&](int64_t slot) -> Value {
    Value weight = e.loadScalar(weights, {row, e.index(slot)});
    return arith::ExtFOp::create(e.b, e.loc, f64, weight);
  };
  auto powerOf = [&](Value v) -> Value {
    if (p == 2)
      return e.mulf(v, v);
    Value magnitude = math::AbsFOp::create(e.b, e.loc, v);
    return p == 1 ? magnitude : emitPow64(e, magnitude, p);
  };
  Value norm = powerOf(at(0));
  for (int64_t slot = 1; slot < k; ++slot)
    norm = e.addf(norm, powerOf(at(slot)));
  if (p == 2)
    norm = math::SqrtOp::create(e.b, e.loc, norm);
  else if (p != 1)
    norm = emitPow64(e, norm, 1 / p);
  for (int64_t slot = 0; slot < k; ++slot) {
    Value weight = arith::TruncFOp::create(e.b, e.loc, e.b.getF32Type(),
                                           e.divf(at(slot), norm));
    e.storeScalar(weight, weights, {row, e.index(slot)});
  }
}

/// The evaluation form of phimoe's `sparsemixer` in transformers: a choice's
/// weight is its share among the logits near it. `scores` holds the logits.
void RowRouter::emitSparseMixer(Value row) {
  Value bound = e.splat(2 * config.getEpsOr(0.01));
  double minusInf = -std::numeric_limits<double>::infinity();
  for (int64_t slot = 0; slot < config.getTopK(); ++slot) {
    Value id = e.toIndex(memref::LoadOp::create(
        e.b, e.loc, ids, ValueRange{row, e.index(slot)}));
    Value largest = e.loadScalar(scores, {id});
    Value most = e.broadcast(largest);
    auto shareOf = [&](Value c, int64_t n,
                       ValueRange sum) -> SmallVector<Value> {
      Value v = e.load(scores, {c}, n), distance = e.subf(most, v);
      Value factor = e.maxf(math::AbsFOp::create(e.b, e.loc, v), most);
      Value isFar = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OGT,
                                          e.divf(distance, factor), bound);
      Value p = emitExp(e, e.subf(v, most));
      p = e.select(isFar, e.splat(0.0), p);
      if (n < e.lanes)
        p = e.select(e.maskOf(e.index(n)), p, e.splat(0.0));
      return {e.addf(sum[0], p)};
    };
    Value sum =
        e.reduceAdd(e.columns(experts, ValueRange{e.splat(0.0)}, shareOf)[0]);
    // 1, but NaN where the logit is not finite.
    Value own = emitExp(e, e.subf(largest, largest));
    e.storeScalar(e.divf(own, sum), weights, {row, e.index(slot)});
    // The next choice leaves this one out.
    e.storeScalar(e.f32(minusInf), scores, {id});
  }
}

void RowRouter::emitWeights(Value row) {
  int64_t k = config.getTopK();
  auto at = [&](int64_t slot) {
    return e.loadScalar(weights, {row, e.index(slot)});
  };
  auto rescale = [&](function_ref<Value(Value)> f) {
    for (int64_t slot = 0; slot < k; ++slot)
      e.storeScalar(f(at(slot)), weights, {row, e.index(slot)});
  };
  auto sum = [&](function_ref<Value(Value)> f) {
    Value total = f(at(0));
    for (int64_t slot = 1; slot < k; ++slot)
      total = e.addf(total, f(at(slot)));
    return total;
  };
  auto same = [](Value v) { return v; };
  switch (config.getRenormalize()) {
  case Renormalize::None:
    break;
  case Renormalize::L1: {
    Value total = e.addf(sum(same), e.f32(config.getEpsOr(0)));
    rescale([&](Value v) { return e.divf(v, total); });
    break;
  }
  case Renormalize::ClampedSum: {
    Value total = e.maxf(sum(same), e.f32(config.getEpsOr(0)));
    rescale([&](Value v) { return e.divf(v, total); });
    break;
  }
  case Renormalize::Lp:
    emitLp(row);
    break;
  case Renormalize::SoftmaxOverChosen: {
    // Logits are in descending order only if selection is by logit.
    Value most = at(0);
    for (int64_t slot = 1; slot < k; ++slot)
      most = e.maxf(at(slot), most);
    rescale([&](Value v) { return emitExp(e, e.subf(v, most)); });
    Value total = sum(same);
    rescale([&](Value v) { return e.divf(v, total); });
    break;
  }
  }
  if (config.getScale())
    rescale([&](Value v) { return e.mulf(v, e.f32(config.getScaleOr(1))); });
}

void RowRouter::emit(Value logits, Value logitsRow, Value row) {
  emitScores(logits, logitsRow);
  if (config.getGroups() > 1)
    emitGroupMask(logits, logitsRow);
  if (!staticIds)
    emitKeys(logits, logitsRow);
  emitChoices(logits, logitsRow, row);
  if (config.getScore() == Score::SparseMixer && !staticIds)
    emitSparseMixer(row);
  emitWeights(row);
}

/// Bytes of scratch of a RowRouter.
static int64_t routerScratch(const Target &target, int64_t experts,
                             int64_t groups) {
  int64_t padded = llvm::alignTo(experts, target.lanes);
  return llvm::alignTo(12 * padded + 4 * (padded + groups), 64);
}

static RowRouter makeRouter(Emitter &e, RouterConfigAttr config,
                            int64_t experts, Value scratch, int64_t at,
                            Value weights, Value ids) {
  RowRouter router{e, config, experts, {}, {}, weights, ids, {}, {}, {}};
  int64_t padded = router.padded();
  Type f32 = e.b.getF32Type();
  router.keys =
      e.scratchView(scratch, at, MemRefType::get({padded}, e.b.getI64Type()));
  router.scores =
      e.scratchView(scratch, at + 8 * padded, MemRefType::get({padded}, f32));
  router.groups =
      e.scratchView(scratch, at + 12 * padded,
                    MemRefType::get({padded + config.getGroups()}, f32));
  return router;
}

void moec::kernels::emitKernel(Emitter &e, RouterOp op, const Slot &slot) {
  int64_t experts = columnCount(op.getLogits());
  RowRouter router = makeRouter(e, op.getConfig(), experts, slot.scratch, 0,
                                op.getOuts()[0], op.getOuts()[1]);
  router.bias = op.getBias();
  router.staticIds = op.getStaticIds();
  auto [first, last] =
      e.share(e.dim(op.getLogits(), 0), slot.number, slot.count);
  e.loop(first, last, 1,
         [&](Value row) { router.emit(op.getLogits(), row, row); });
}

/// Rows of logits that a slot of `route` computes at a time.
static constexpr int64_t kRouteRows = 48;

void moec::kernels::emitKernel(Emitter &e, RouteOp op, const Slot &slot) {
  PackedWeight weight = PackedWeight::of(op.getGate());
  int64_t experts = op.getExperts();
  int64_t logitsAt =
      llvm::alignTo(matmulScratchBytes(e.target, weight), 64);
  int64_t routerAt = logitsAt + llvm::alignTo(kRouteRows * experts * 4, 64);
  Value logits =
      e.scratchView(slot.scratch, logitsAt,
                    MemRefType::get({kRouteRows, experts}, e.b.getF32Type()));
  RowRouter router = makeRouter(e, op.getConfig(), experts, slot.scratch,
                                routerAt, op.getOuts()[0], op.getOuts()[1]);
  router.bias = op.getBias();
  auto [first, last] = e.share(e.dim(op.getX(), 0), slot.number, slot.count);
  Value end = last;
  e.loop(first, last, kRouteRows, [&](Value base) {
    Value stop = e.min(e.add(base, kRouteRows), end);
    auto combine = [](Value acc, Value, Value, Value, Value) { return acc; };
    auto store = [&](Value v, Value row, Value column, Value mask) {
      Value at = e.sub(row, base);
      if (mask)
        e.storeMasked(v, logits, {at, column}, mask);
      else
        e.store(v, logits, {at, column});
    };
    TileWriter writer{experts, false, combine, store};
    emitMatmul(
        e, op->getParentOfType<ModuleOp>(), weight, e.index(0), op.getX(), base,
        stop, e.index(0), e.index(weight.panels / 2),
        [](Value row) { return row; }, slot.scratch, writer);
    e.loop(base, stop, 1,
           [&](Value row) { router.emit(logits, e.sub(row, base), row); });
  });
}

int64_t moec::kernels::routerScratchBytes(RouterOp op, const Target &target) {
  int64_t experts = columnCount(op.getLogits());
  return routerScratch(target, experts, op.getConfig().getGroups());
}

int64_t moec::kernels::routeScratchBytes(RouteOp op, const Target &target) {
  PackedWeight weight = PackedWeight::of(op.getGate());
  int64_t experts = op.getExperts();
  return llvm::alignTo(matmulScratchBytes(target, weight), 64) +
         llvm::alignTo(kRouteRows * experts * 4, 64) +
         routerScratch(target, experts, op.getConfig().getGroups());
}
