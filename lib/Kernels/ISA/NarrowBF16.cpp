//===- NarrowBF16.cpp - Rounds f32 lanes to bf16 --------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "NarrowBF16.h"
#include "DotPairs.h"

using namespace mlir;
using namespace moec::kernels;

Value moec::kernels::emitNarrowBF16(Emitter &e, Value x) {
  Type bf16 = e.b.getBF16Type();
  if (e.target.emulate)
    return e.narrow(emitFlushed(e, x), bf16);
  std::string name = e.lanes == 16 ? "llvm.x86.avx512bf16.cvtneps2bf16.512"
                                   : "llvm.x86.avx512bf16.cvtneps2bf16.256";
  return e.callIntrinsic(name, e.vectorOf(bf16), {x});
}
