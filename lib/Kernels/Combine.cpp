//===- Combine.cpp - Kernels from rows back to tokens, and of records -----===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "OpKernels.h"

using namespace mlir;
using namespace mlir::moe;
using namespace moec::kernels;

namespace {
/// One slot of a token in a combine.
struct Term {
  Value row, hasRow, isIdentity, weight;
};
} // namespace

/// Slots without a row add nothing, not 0 times what lies in some row.
void moec::kernels::emitKernel(Emitter &e, CombineOp op, const Slot &slot) {
  Value out = op.getOuts().front(), rowOf = op.getPlan()[3];
  int64_t k = columnCount(op.getWeights());
  Type i32 = e.b.getI32Type();
  auto termOf = [&](Value t, int64_t s) {
    Term term;
    Value row = memref::LoadOp::create(e.b, e.loc, rowOf,
                                       ValueRange{e.add(e.mul(t, k), s)});
    term.row = e.max(e.toIndex(row), e.index(0));
    term.hasRow = e.lessEqual(e.index(0), e.toIndex(row));
    term.weight = e.broadcast(e.loadScalar(op.getWeights(), {t, e.index(s)}));
    if (op.getIdentity()) {
      Value id = memref::LoadOp::create(e.b, e.loc, op.getIds(),
                                        ValueRange{t, e.index(s)});
      term.isIdentity =
          arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::sge, id,
                                e.integer(i32, *op.getIdentityFrom()));
    }
    return term;
  };
  auto [first, last] = e.share(e.dim(out, 0), slot.number, slot.count);
  e.loop(first, last, 1, [&](Value t) {
    SmallVector<Term> terms;
    for (int64_t s = 0; s < k; ++s)
      terms.push_back(termOf(t, s));
    e.columns(columnCount(out), [&](Value column, int64_t count) {
      Value sum = op.getResidual()
                      ? e.load(op.getResidual(), {t, column}, count)
                      : e.splat(0.0);
      Value identity = op.getIdentity()
                           ? e.load(op.getIdentity(), {t, column}, count)
                           : Value();
      for (const Term &term : terms) {
        Value y = e.load(op.getY(), {term.row, column}, count);
        sum = e.select(term.hasRow, e.fma(term.weight, y, sum), sum);
        if (identity)
          sum =
              e.select(term.isIdentity, e.fma(term.weight, identity, sum), sum);
      }
      if (op.getBias())
        sum = e.addf(sum, e.load(op.getBias(), {column}, count));
      e.store(sum, out, {t, column}, count);
    });
  });
}

/// Copies ids and weights behind those of the records before, if the caller
/// gave buffers of a size other than 0.
void moec::kernels::emitKernel(Emitter &e, RecordOp op, const Slot &slot) {
  Value idsOut = op.getOuts()[0], weightsOut = op.getOuts()[1];
  int64_t k = columnCount(op.getIds());
  Value tokens = e.dim(op.getIds(), 0);
  Value start = e.mul(tokens, op.getExtent().front());
  e.when(e.less(e.index(0), e.dim(idsOut, 0)), [&] {
    auto [first, last] = e.share(tokens, slot.number, slot.count);
    e.loop(first, last, 1, [&](Value t) {
      e.loop(e.index(0), e.index(k), 1, [&](Value s) {
        Value at = e.add(start, e.add(e.mul(t, k), s));
        Value id =
            memref::LoadOp::create(e.b, e.loc, op.getIds(), ValueRange{t, s});
        memref::StoreOp::create(e.b, e.loc, id, idsOut, ValueRange{at});
        Value weight = memref::LoadOp::create(e.b, e.loc, op.getWeights(),
                                              ValueRange{t, s});
        memref::StoreOp::create(e.b, e.loc, weight, weightsOut, ValueRange{at});
      });
    });
  });
}
