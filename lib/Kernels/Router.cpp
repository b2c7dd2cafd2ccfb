//===- Router.cpp - Kernels that choose experts ---------------------------===//
//
// Part of moe-mlir. Keys are compared as 64-bit integers: in the upper half
// the f32 key in an order-preserving form (NaN lowest), in the lower half the
// complement of the id, so that one maximum gives the largest key and, among
// equals, the lowest id.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "Keys.h"
#include "Matmul.h"
#include "OpKernels.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;
using namespace moec::kernels;

namespace {
/// Selection for one row of logits.
struct RowRouter {
  Emitter &e;
  RouterConfigAttr config;
  int64_t experts;
  Value bias, staticIds;      // may be null
  Value weights, ids;         // outputs [T,k]
  Value scores, keys, groups; // scratch: f32 [E], i64 [E padded], f32 [G]

  int64_t padded() const { return llvm::alignTo(experts, e.lanes); }

  void emit(Value logits, Value logitsRow, Value row);
  void emitScores(Value logits, Value row);
  void emitSoftmax(Value logits, Value row);
  void emitKeys(Value logits, Value row);
  void emitGroupMask(Value logits, Value row);
  void emitChoices(Value logits, Value logitsRow, Value row);
  void emitWeights(Value row);
  void emitLp(Value row);
  void emitSparseMixer(Value row);
  Value sortable(Value ordered, Value ids);
};
} // namespace

void RowRouter::emitSoftmax(Value logits, Value row) {
  double minusInf = -std::numeric_limits<double>::infinity();
  auto lanesOf = [&](Value column, int64_t count, double fill) {
    Value v = e.load(logits, {row, column}, count);
    return count == e.lanes
               ? v
               : e.select(e.maskOf(e.index(count)), v, e.splat(fill));
  };
  Value most = e.reduceMax(
      e.columns(experts, ValueRange{e.splat(minusInf)},
                [&](Value c, int64_t n, ValueRange acc) -> SmallVector<Value> {
                  return {e.maxf(lanesOf(c, n, minusInf), acc[0])};
                })[0]);
  Value wide = e.broadcast(most);
  Value sum = e.reduceAdd(
      e.columns(experts, ValueRange{e.splat(0.0)},
                [&](Value c, int64_t n, ValueRange acc) -> SmallVector<Value> {
                  Value p = emitExp(e, e.subf(lanesOf(c, n, minusInf), wide));
                  e.store(p, scores, {c}, n);
                  return {e.addf(acc[0], p)};
                })[0]);
  Value total = e.broadcast(sum);
  e.columns(experts, [&](Value c, int64_t n) {
    e.store(e.divf(e.load(scores, {c}, n), total), scores, {c}, n);
  });
}

void RowRouter::emitScores(Value logits, Value row) {
  if (config.getScore() == Score::Softmax)
    return emitSoftmax(logits, row);
  e.columns(experts, [&](Value c, int64_t n) {
    Value v = e.load(logits, {row, c}, n);
    if (config.getScore() == Score::Sigmoid) {
      v = emitActivation(e, lm::Activation::Sigmoid, v);
    } else if (config.getScore() == Score::SqrtSoftplus) {
      // softplus(x) = max(x, 0) + log(1 + exp(-|x|))
      Value magnitude = math::AbsFOp::create(e.b, e.loc, v);
      Value small = emitExp(e, e.subf(e.splat(0.0), magnitude));
      Value softplus = e.addf(e.maxf(v, e.splat(0.0)), emitLog1p(e, small));
      v = math::SqrtOp::create(e.b, e.loc, softplus);
    }
    e.store(v, scores, {c}, n);
  });
}

/// Key in the upper half, complement of the id in the lower.
Value RowRouter::sortable(Value ordered, Value laneIds) {
  Type i64 = e.vectorOf(e.b.getI64Type());
  Value high = arith::ExtSIOp::create(e.b, e.loc, i64, ordered);
  high = arith::ShLIOp::create(e.b, e.loc, high, e.integer(i64, 32));
  Value low =
      arith::SubIOp::create(e.b, e.loc, e.integer(i64, 0xffffffff), laneIds);
  return arith::OrIOp::create(e.b, e.loc, high, low);
}

/// Integer lane numbers 0, 1, 2 ... as i64.
static Value laneNumbers(Emitter &e) {
  SmallVector<Attribute> numbers;
  for (int64_t i = 0; i < e.lanes; ++i)
    numbers.push_back(e.b.getI64IntegerAttr(i));
  return arith::ConstantOp::create(
      e.b, e.loc,
      DenseElementsAttr::get(e.vectorOf(e.b.getI64Type()), numbers));
}

void RowRouter::emitKeys(Value logits, Value row) {
  Type i64 = e.vectorOf(e.b.getI64Type());
  e.columns(experts, [&](Value c, int64_t n) {
    Value key = config.getSelect() == SelectKey::ByLogit
                    ? e.load(logits, {row, c}, n)
                    : e.load(scores, {c}, n);
    if (config.getSelect() == SelectKey::ByBiasedScore)
      key = e.addf(key, e.load(bias, {c}, n));
    Value ordered = orderedBits(e, key);
    if (config.getGroups() > 1) {
      // Groups whose mark is 0 lost: key 0, or not eligible at all.
      Value lost = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ,
                                         e.load(groups, {c}, n), e.splat(0.0));
      int32_t masked =
          config.getMasked() == MaskedKey::Zero ? 0 : kIneligibleKey;
      ordered = e.select(lost, e.integer(ordered.getType(), masked), ordered);
    }
    Value start = arith::IndexCastOp::create(e.b, e.loc, e.b.getI64Type(), c);
    Value laneIds =
        arith::AddIOp::create(e.b, e.loc, laneNumbers(e), e.broadcast(start));
    Value sorted = sortable(ordered, laneIds);
    if (n < e.lanes) // below every expert, NaN included
      sorted = e.select(e.maskOf(e.index(n)), sorted,
                        e.integer(i64, std::numeric_limits<int64_t>::min()));
    vector::StoreOp::create(e.b, e.loc, sorted, keys, ValueRange{c});
  });
}

/// Marks in `groups` (one f32 an expert) whether the expert's group stays.
void RowRouter::emitGroupMask(Value logits, Value row) {
  int64_t count = config.getGroups(), size = experts / count;
  auto keyOf = [&](Value expert) {
    Value key = config.getSelect() == SelectKey::ByLogit
                    ? e.loadScalar(logits, {row, expert})
                    : e.loadScalar(scores, {expert});
    if (config.getSelect() == SelectKey::ByBiasedScore)
      key = e.addf(key, e.loadScalar(bias, {expert}));
    return key;
  };
  Value minusInf = e.f32(-std::numeric_limits<double>::infinity());
  // Ranks go to the tail of `groups`, behind the marks.
  auto rankAt = [&](Value group) { return e.add(group, experts); };
  e.loop(e.index(0), e.index(count), 1, [&](Value group) {
    Value start = e.mul(group, size);
    SmallVector<Value> best =
        e.loop(e.index(0), e.index(size), 1, {minusInf, minusInf},
               [&](Value i, ValueRange c) -> SmallVector<Value> {
                 Value key = keyOf(e.add(start, i));
                 Value first = e.maxf(key, c[0]);
                 Value smaller = arith::SelectOp::create(
                     e.b, e.loc,
                     arith::CmpFOp::create(
                         e.b, e.loc, arith::CmpFPredicate::OGT, key, c[0]),
                     c[0], key);
                 return {first, e.maxf(smaller, c[1])};
               });
    Value rank = config.getGroupScore() == GroupScore::Max
                     ? best[0]
                     : e.addf(best[0], best[1]);
    e.storeScalar(rank, groups, {rankAt(group)});
  });
  e.loop(e.index(0), e.index(count), 1, [&](Value group) {
    Value mine = orderedBits(e, e.loadScalar(groups, {rankAt(group)}));
    SmallVector<Value> ahead = e.loop(
        e.index(0), e.index(count), 1, ValueRange{e.index(0)},
        [&](Value other, ValueRange c) -> SmallVector<Value> {
          Value theirs = orderedBits(e, e.loadScalar(groups, {rankAt(other)}));
          auto is = [&](arith::CmpIPredicate predicate) -> Value {
            return arith::CmpIOp::create(e.b, e.loc, predicate, theirs, mine);
          };
          Value tie = arith::AndIOp::create(
              e.b, e.loc, is(arith::CmpIPredicate::eq), e.less(other, group));
          Value better = arith::OrIOp::create(
              e.b, e.loc, is(arith::CmpIPredicate::sgt), tie);
          return {e.add(c[0], e.select(better, e.index(1), e.index(0)))};
        });
    Value stays = e.less(ahead[0], e.index(config.getTopGroups()));
    Value mark = e.select(stays, e.f32(1.0), e.f32(0.0));
    e.loop(e.index(0), e.index(size), 1, [&](Value i) {
      e.storeScalar(mark, groups, {e.add(e.mul(group, size), i)});
    });
  });
}

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
  int64_t experts = cast<MemRefType>(op.getLogits().getType()).getDimSize(1);
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

namespace moec::kernels {
int64_t routerScratchBytes(RouterOp op, const Target &target) {
  int64_t experts = cast<MemRefType>(op.getLogits().getType()).getDimSize(1);
  return routerScratch(target, experts, op.getConfig().getGroups());
}
int64_t routeScratchBytes(RouteOp op, const Target &target) {
  PackedWeight weight = PackedWeight::of(op.getGate());
  int64_t experts = op.getExperts();
  return llvm::alignTo(matmulScratchBytes(target, weight), 64) +
         llvm::alignTo(kRouteRows * experts * 4, 64) +
         routerScratch(target, experts, op.getConfig().getGroups());
}
} // namespace moec::kernels
