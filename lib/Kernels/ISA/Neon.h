//===- Neon.h - Products of AArch64 -----------------------------*- C++ -*-===//
//
// Part of moe-mlir. What DotPairs and DotQuads ask of AArch64. A vector of the
// kernels is one or more registers of 128 bits; each of these is an instruction
// or a few on every one of them. Operands are i32 lanes, as in DotQuads.h.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_ISA_NEON_H
#define MOE_LIB_KERNELS_ISA_NEON_H

#include "../Emitter.h"

namespace moec::kernels {

/// acc + four products a lane: a signed, w signed (SDOT) or not (USDOT).
mlir::Value emitNeonQuads(Emitter &e, mlir::Value acc, mlir::Value a,
                          mlir::Value w, bool isSigned);

/// acc + two products of bf16 a lane: BFDOT. Types are DotPairs.h's.
mlir::Value emitNeonOddPairs(Emitter &e, mlir::Value acc, mlir::Value a,
                             mlir::Value w);

/// One register: acc[2i + j] + the four products of a's i-th and w's j-th half,
/// as BFDOT of the first pairs and then of the second: BFMMLA. a, w: i32 lanes.
mlir::Value emitNeonOddBlock(Emitter &e, mlir::Value acc, mlir::Value a,
                             mlir::Value w);

/// Two products of 16 bits with sign a lane, as VPMADDWD: SMULL, ADDP.
mlir::Value emitNeonPairs(Emitter &e, mlir::Value a, mlir::Value w);

/// Of each half the products of its bytes, w below 128, as lanes of i16: SMULL,
/// ADDP.
mlir::Value emitNeonNarrow(Emitter &e, mlir::Value a, mlir::Value w);

/// The sum of both halves of each lane: SADDLP.
mlir::Value emitNeonJoinNarrow(Emitter &e, mlir::Value narrow);

/// table[c] for each byte c: TBL.
mlir::Value emitNeonLookUp(Emitter &e, mlir::Value bytes,
                           llvm::ArrayRef<int8_t> table);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_ISA_NEON_H
