//===- LayerQuantising.h - Quantising weights as generated code -*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_LAYERQUANTISING_H
#define MOE_LIB_DRIVER_LAYERQUANTISING_H

#include "lib/Kernels/Emitter.h"

#include "dialects/LM/IR/WeightFormat.h"

namespace moec {

/// Emits what lm::quantise and lm::storeRow do, bit for bit, for one group of
/// columns: `values` are vectors of e.lanes f32, zeros behind the last column.
/// `panel` is a memref<LINESx64xi8>. `largest`: emitLargest of what has the
/// group's scale, or nothing where that is the group.
void emitQuantisedGroup(kernels::Emitter &e, mlir::lm::Format format,
                        llvm::ArrayRef<mlir::Value> values, mlir::Value largest,
                        mlir::Value lane, mlir::Value number,
                        mlir::Value panel);

/// Of each lane the largest magnitude as bits (i32) of the values and of those
/// before, if any.
mlir::Value emitLargest(kernels::Emitter &e, llvm::ArrayRef<mlir::Value> values,
                        mlir::Value before);

} // namespace moec

#endif // MOE_LIB_DRIVER_LAYERQUANTISING_H
