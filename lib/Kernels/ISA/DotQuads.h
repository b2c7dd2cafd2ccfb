//===- DotQuads.h - Integer dot product of four bytes, summed ---*- C++ -*-===//
//
// Part of moe-mlir. VPDPBUSD (AVX512-VNNI, AVX-VNNI) or USDOT (i8mm); where
// there is none, SDOT (dotprod), or VPMADDUBSW for small weights and VPMADDWD,
// or what NEON has in their place. Sums are exact, so all give the same
// integers. Native and generic.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ISA_DOTQUADS_H
#define MOE_LIB_KERNELS_ISA_DOTQUADS_H

#include "../Emitter.h"

namespace moec::kernels {

/// How four products of bytes are summed.
enum class ByteDot {
  /// VPDPBUSD, USDOT.
  Quads,
  /// SDOT: weights have a sign too.
  SignedQuads,
  /// VPMADDUBSW: in 16 bits, which a group's sum of small weights less their
  /// bias does not exceed.
  Narrow,
  /// Widened to pairs of 16 bits, VPMADDWD.
  Pairs,
};

/// For weights of 0 .. `largest` and integers of a row of -127 .. 127.
ByteDot byteDotOf(const Target &target, int64_t largest);
/// Whether each half of a narrow sum of a group, 16 products of integers of
/// -127 .. 127 with others of up to `magnitude`, is one of 16 bits with sign.
bool endsInHalf(int64_t magnitude);
/// Whether a column of K counts in the high half of such a sum.
inline bool isInHighHalf(int64_t column) { return column % 4 >= 2; }

/// Whether unsigned weights of 0 .. `largest` are made signed, 128 less, since
/// products would take them for negative.
inline bool takesSign(ByteDot dot, int64_t largest) {
  return dot == ByteDot::SignedQuads && largest > 127;
}

/// i32 elements in which a packed row holds four integers: 1, or 2 for pairs
/// (integers 0 and 2, then 1 and 3).
inline int64_t quadElements(ByteDot dot) {
  return dot == ByteDot::Pairs ? 2 : 1;
}

/// The elements for the integers (i32 lanes, each within a byte) of a row, in
/// the order in which they lie in memory: scalars of i32.
llvm::SmallVector<mlir::Value> emitRowQuads(Emitter &e, ByteDot dot,
                                            mlir::Value integers);

/// What `emitDotQuads` takes for lanes of four unsigned bytes of 0 .. `largest`
/// (128 less where takesSign).
llvm::SmallVector<mlir::Value>
emitWeightQuads(Emitter &e, ByteDot dot, mlir::Value bytes, int64_t largest);

/// acc[i] + sum of the four products of lane i, exact: a signed, w unsigned
/// (SignedQuads: signed).
/// `a` and `w` have quadElements vectors of i32 lanes. Narrow sums are lanes of
/// two halves of 16 bits each, of products 0 and 1, 2 and 3, modulo 2^16.
mlir::Value emitDotQuads(Emitter &e, ByteDot dot, mlir::Value acc,
                         mlir::ValueRange a, mlir::ValueRange w);

/// The sum of both halves of each lane of a narrow sum.
mlir::Value emitJoinNarrow(Emitter &e, mlir::Value narrow);

/// table[c] for each byte c of i32 lanes; c < 16 (VPSHUFB, TBL).
mlir::Value emitLookUp(Emitter &e, mlir::Value bytes,
                       llvm::ArrayRef<int8_t> table);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ISA_DOTQUADS_H
