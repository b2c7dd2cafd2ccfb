//===- RouterKeys.cpp - Scores of experts and keys to choose by -----------===//
//
// Part of moe-mlir. Keys are compared as 64-bit integers: in the upper half
// the f32 key in an order-preserving form (NaN lowest), in the lower half the
// complement of the id, so that one maximum gives the largest key and, among
// equals, the lowest id.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "Keys.h"
#include "RowRouter.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;
using namespace moec::kernels;

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
