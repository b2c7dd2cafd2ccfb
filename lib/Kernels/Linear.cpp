//===- Linear.cpp - Kernels of products with packed weights ---------------===//
//
// Part of moe-mlir. How work is shared: a dense product by pairs of panels
// (columns of the result) where there are enough of them, else by rows; a
// grouped product along one axis on which every expert is as long as it costs,
// so that skewed routing does not unbalance the slots.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "Matmul.h"
#include "OpKernels.h"

using namespace mlir;
using namespace moec::kernels;

static ModuleOp moduleOf(Operation *op) {
  return op->getParentOfType<ModuleOp>();
}

static void storeTo(Emitter &e, Value out, Value vector, Value row,
                    Value column, Value mask) {
  if (mask)
    e.storeMasked(vector, out, {row, column}, mask);
  else
    e.store(vector, out, {row, column});
}

/// Loads part of a per-column vector; masked-off lanes are 0.
static Value loadColumns(Emitter &e, Value vector, ValueRange at, Value mask) {
  return mask ? e.loadMasked(vector, at, mask) : e.load(vector, at);
}

namespace {
/// This slot's part of a dense product.
struct DenseShare {
  Value first, last, firstPair, lastPair;
};
} // namespace

static DenseShare shareDense(Emitter &e, const PackedWeight &weight, Value rows,
                             const Slot &slot) {
  Value zero = e.index(0), pairs = e.index(weight.panels / 2);
  if (weight.panels >= kColumnCutPanels) {
    auto [first, last] = e.share(pairs, slot.number, slot.count);
    return {zero, rows, first, last};
  }
  auto [first, last] = e.share(rows, slot.number, slot.count);
  return {first, last, zero, pairs};
}

/// Fetches `count` columns of a row for writing.
static void fetchForStore(Emitter &e, Value out, Value row, Value column,
                          int64_t count) {
  Type element = cast<MemRefType>(out.getType()).getElementType();
  int64_t perLine = 64 * 8 / element.getIntOrFloatBitWidth();
  for (int64_t i = 0; i < count; i += perLine)
    memref::PrefetchOp::create(e.b, e.loc, out,
                               ValueRange{row, e.add(column, i)},
                               /*isWrite=*/true, /*localityHint=*/3,
                               /*isDataCache=*/true);
}

static Value identity(Value row) { return row; }

void moec::kernels::emitKernel(Emitter &e, lm::LinearOp op, const Slot &slot) {
  PackedWeight weight = PackedWeight::of(op);
  Value out = op.getOuts().front();
  DenseShare share = shareDense(e, weight, e.dim(op.getX(), 0), slot);
  auto combine = [&](Value acc, Value, Value, Value column, Value mask) {
    if (op.getBias())
      acc = e.addf(acc, loadColumns(e, op.getBias(), {column}, mask));
    if (op.getClip())
      acc = emitClip(e, acc, op.getClip()->convertToDouble());
    return acc;
  };
  auto store = [&](Value v, Value row, Value column, Value mask) {
    storeTo(e, out, v, row, column, mask);
  };
  auto fetch = [&](Value row, Value column) {
    fetchForStore(e, out, row, column, 32);
  };
  TileWriter writer{columnCount(out), false, combine, store, fetch};
  emitMatmul(e, moduleOf(op), weight, e.index(0), op.getX(), share.first,
             share.last, share.firstPair, share.lastPair, identity,
             slot.scratch, writer);
}

void moec::kernels::emitKernel(Emitter &e, lm::GatedLinearOp op,
                               const Slot &slot) {
  PackedWeight weight = PackedWeight::of(op);
  Value out = op.getOuts().front();
  DenseShare share = shareDense(e, weight, e.dim(op.getX(), 0), slot);
  auto combine = [&](Value gate, Value up, Value, Value, Value) {
    return e.mulf(emitActivation(e, op.getFunction(), gate), up);
  };
  auto store = [&](Value v, Value row, Value column, Value mask) {
    storeTo(e, out, v, row, column, mask);
  };
  auto fetch = [&](Value row, Value column) {
    fetchForStore(e, out, row, column, 16);
  };
  TileWriter writer{columnCount(out), true, combine, store, fetch};
  emitMatmul(e, moduleOf(op), weight, e.index(0), op.getX(), share.first,
             share.last, share.firstPair, share.lastPair, identity,
             slot.scratch, writer);
}

//===----------------------------------------------------------------------===//
// Grouped
//===----------------------------------------------------------------------===//

/// Clones an epilogue region onto vectors of f32.
static Value cloneEpilogue(Emitter &e, Region &region, ValueRange arguments) {
  IRMapping mapping;
  Block &block = region.front();
  mapping.map(block.getArguments(), arguments);
  for (Operation &inner : block.without_terminator()) {
    if (auto constant = dyn_cast<arith::ConstantOp>(inner)) {
      if (auto value = dyn_cast<FloatAttr>(constant.getValue())) {
        mapping.map(constant.getResult(), e.splat(value.getValueAsDouble()));
        continue;
      }
    }
    Operation *clone = e.b.clone(inner, mapping);
    for (Value result : clone->getResults()) {
      Type element = getElementTypeOrSelf(result.getType());
      result.setType(e.vectorOf(element));
    }
  }
  auto yield = cast<mlir::moe::YieldOp>(block.getTerminator());
  return mapping.lookup(yield.getValue());
}

namespace {
/// Epilogue and row addressing of one grouped product.
struct GroupedEmitter {
  Emitter &e;
  mlir::moe::GroupedMatmulOp op;
  const Slot &slot;
  PackedWeight weight;
  Value out, offsets, work, token, rowOf;

  bool isPaired() { return op.getFunction() || op.getPaired(); }
  int64_t pairs() const { return weight.panels / 2; }

  Value bias(Value expert, Value column, Value mask);
  Value scaleOf(Value row);
  Value epilogue(Value expert, Value acc, Value up, Value column, Value mask);
  void forExpert(Value expert, Value firstUnit, Value lastUnit);
  void fillRest();
  Value entry(Value prefix, Value index) {
    return e.toIndex(
        memref::LoadOp::create(e.b, e.loc, prefix, ValueRange{index}));
  }
};
} // namespace

Value GroupedEmitter::bias(Value expert, Value column, Value mask) {
  return loadColumns(e, op.getBias(), {expert, column}, mask);
}

/// The factor of a row's input, which is one of all its products: multiplied
/// to their sum it is rounded once, and rows of bf16 stay bf16 for the recipe
/// of pairs. A plan names a row's token; the slot is the one that has the row.
Value GroupedEmitter::scaleOf(Value row) {
  int64_t k = columnCount(op.getRowScale());
  Value t = entry(token, row), scale = e.f32(1.0);
  for (int64_t s = 0; s < k; ++s) {
    Value isMine = e.equal(entry(rowOf, e.add(e.mul(t, k), s)), row);
    scale = e.select(isMine, e.loadScalar(op.getRowScale(), {t, e.index(s)}),
                     scale);
  }
  return e.broadcast(scale);
}

Value GroupedEmitter::epilogue(Value expert, Value acc, Value up, Value column,
                               Value mask) {
  if (op.getBias()) {
    acc = e.addf(acc, bias(expert, column, mask));
    if (up)
      up = e.addf(up, bias(expert, e.add(column, columnCount(out)), mask));
  }
  if (op.getFunction())
    return e.mulf(emitActivation(e, *op.getFunction(), acc), up);
  if (op.getEpilogue().empty())
    return acc;
  SmallVector<Value> arguments = {acc};
  if (up)
    arguments.push_back(up);
  return cloneEpilogue(e, op.getEpilogue(), arguments);
}

/// The pairs of panels of one expert that fall into [firstUnit, lastUnit).
void GroupedEmitter::forExpert(Value expert, Value firstUnit, Value lastUnit) {
  Value next = e.add(expert, 1);
  Value start = e.mul(entry(work, expert), pairs());
  Value cost = e.sub(entry(work, next), entry(work, expert));
  e.when(e.less(e.index(0), cost), [&] {
    // Pair p covers units [start + p * cost, start + (p + 1) * cost) and goes
    // to the slot that holds its first unit.
    auto pairAt = [&](Value unit) {
      Value ahead = e.max(e.sub(unit, start), e.index(0));
      return e.min(e.ceilDiv(ahead, cost), e.index(pairs()));
    };
    Value firstPair = pairAt(firstUnit), lastPair = pairAt(lastUnit);
    e.when(e.less(firstPair, lastPair), [&] {
      auto combine = [&](Value acc, Value up, Value row, Value column,
                         Value mask) {
        if (op.getRowScale()) {
          Value scale = scaleOf(row);
          acc = e.mulf(acc, scale);
          up = up ? e.mulf(up, scale) : up;
        }
        return epilogue(expert, acc, up, column, mask);
      };
      auto store = [&](Value v, Value row, Value column, Value mask) {
        storeTo(e, out, v, row, column, mask);
      };
      auto source = [&](Value row) {
        return op.getGather() ? entry(token, row) : row;
      };
      auto fetch = [&](Value row, Value column) {
        fetchForStore(e, out, row, column, isPaired() ? 16 : 32);
      };
      TileWriter writer{columnCount(out), isPaired(), combine, store, fetch};
      emitMatmul(e, moduleOf(op), weight, expert, op.getX(),
                 entry(offsets, expert), entry(offsets, next), firstPair,
                 lastPair, source, slot.scratch, writer);
    });
  });
}

/// Rows that no choice has, because it was turned away or chose a zero-compute
/// expert, lie behind those of the plan: what the epilogue makes of 0.
void GroupedEmitter::fillRest() {
  Value planned = entry(offsets, e.index(weight.experts));
  auto [first, last] =
      e.share(e.sub(e.dim(out, 0), planned), slot.number, slot.count);
  e.loop(first, last, 1, [&](Value row) {
    Value value = e.splat(0.0);
    if (!op.getEpilogue().empty())
      value = cloneEpilogue(
          e, op.getEpilogue(),
          SmallVector<Value>(op.getEpilogue().getNumArguments(), value));
    e.columns(columnCount(out), [&](Value column, int64_t count) {
      e.store(value, out, {e.add(planned, row), column}, count);
    });
  });
}

void moec::kernels::emitKernel(Emitter &e, mlir::moe::GroupedMatmulOp op,
                               const Slot &slot) {
  GroupedEmitter grouped{e,
                         op,
                         slot,
                         PackedWeight::of(op),
                         op.getOuts().front(),
                         op.getPlan()[0],
                         op.getPlan()[1],
                         op.getPlan()[2],
                         op.getPlan()[3]};
  int64_t experts = grouped.weight.experts;
  Value units =
      e.mul(grouped.entry(grouped.work, e.index(experts)), grouped.pairs());
  auto [first, last] = e.share(units, slot.number, slot.count);
  e.loop(e.index(0), e.index(experts), 1,
         [&, first = first, last = last](Value expert) {
           grouped.forExpert(expert, first, last);
         });
  grouped.fillRest();
}
