//===- KVCache.cpp - One layer's keys and values in memory ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "KVCache.h"
#include "OpKernels.h"

using namespace mlir;
using namespace moec::kernels;

Value KVCache::viewKeys(Emitter &e) const {
  auto view = MemRefType::get({ShapedType::kDynamic, size(), kPanel},
                              type.getElementType());
  Value panels = e.div(extent, kPanel);
  return memref::ViewOp::create(e.b, e.loc, view, bytes, e.index(0),
                                ValueRange{e.mul(panels, heads())});
}

Value KVCache::viewValues(Emitter &e) const {
  int64_t width = type.getElementType().getIntOrFloatBitWidth() / 8;
  auto view =
      MemRefType::get({ShapedType::kDynamic, size()}, type.getElementType());
  Value start = e.mul(extent, heads() * size() * width);
  return memref::ViewOp::create(e.b, e.loc, view, bytes, start,
                                ValueRange{e.mul(extent, heads())});
}

MemRefType KVCache::wideKeysType(Emitter &e) const {
  return MemRefType::get({kBlock / kPanel, size(), kPanel}, e.b.getF32Type());
}

MemRefType KVCache::wideValuesType(Emitter &e) const {
  return MemRefType::get({kBlock, paddedSize()}, e.b.getF32Type());
}

void KVCache::widenKeys(Emitter &e, Value head, Value block, Value wide) const {
  Value keys = viewKeys(e);
  Value first =
      e.add(e.mul(head, e.div(extent, kPanel)), e.mul(block, kBlock / kPanel));
  e.loop(e.index(0), e.index(kBlock / kPanel), 1, [&](Value panel) {
    e.loop(e.index(0), e.index(size()), 1, [&](Value d) {
      for (int64_t lane = 0; lane < kPanel; lane += e.lanes) {
        Value k = e.load(keys, {e.add(first, panel), d, e.index(lane)});
        e.store(k, wide, {panel, d, e.index(lane)});
      }
    });
  });
}

void KVCache::widenValues(Emitter &e, Value head, Value block,
                          Value wide) const {
  Value values = viewValues(e);
  Value first = e.add(e.mul(head, extent), e.mul(block, kBlock));
  e.loop(e.index(0), e.index(kBlock), 1, [&](Value j) {
    e.columns(size(), [&](Value d, int64_t count) {
      e.store(e.load(values, {e.add(first, j), d}, count), wide, {j, d});
    });
  });
}

void moec::kernels::emitKernel(Emitter &e, lm::AppendOp op, const Slot &slot) {
  KVCache cache{op.getState(), op.getExtent(), op.getCacheType()};
  Value keys = cache.viewKeys(e), values = cache.viewValues(e);
  Value panels = e.div(op.getExtent(), kPanel);
  auto [first, last] = e.share(e.dim(op.getK(), 0), slot.number, slot.count);
  e.loop(first, last, 1, [&](Value row) {
    Value position = e.add(op.getPosition(), row);
    e.loop(e.index(0), e.index(cache.heads()), 1, [&](Value head) {
      Value start = e.mul(head, cache.size());
      Value panel = e.add(e.mul(head, panels), e.div(position, kPanel));
      Value lane = e.rem(position, e.index(kPanel));
      e.loop(e.index(0), e.index(cache.size()), 1, [&](Value d) {
        Value k = e.loadScalar(op.getK(), {row, e.add(start, d)});
        e.storeScalar(k, keys, {panel, d, lane});
      });
      Value at = e.add(e.mul(head, op.getExtent()), position);
      e.columns(cache.size(), [&](Value d, int64_t count) {
        Value v = e.load(op.getV(), {row, e.add(start, d)}, count);
        e.store(v, values, {at, d}, count);
      });
    });
  });
}
