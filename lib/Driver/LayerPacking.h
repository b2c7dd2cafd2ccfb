//===- LayerPacking.h - Packing weights as generated code -------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_LAYERPACKING_H
#define MOE_LIB_DRIVER_LAYERPACKING_H

#include "dialects/LM/IR/LMDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace moec {

/// A weight as a caller has it, and what the kernels read.
struct WeightPacking {
  mlir::RankedTensorType logical;
  mlir::lm::PackedType packed;

  /// Name of the function that packs such weights.
  std::string functionName() const;
  /// The types of its two arguments.
  std::pair<mlir::MemRefType, mlir::MemRefType> argumentTypes() const;
};

/// Adds to `module`, in phase `vector`, a private function
///   (logical: memref<ExNxK>, packed: memref<...>)
/// for a weight, unless it is there. Floats are moved as integers of their
/// width, or quantised.
void addPackingFunction(mlir::ModuleOp module, const WeightPacking &weight);

} // namespace moec

#endif // MOE_LIB_DRIVER_LAYERPACKING_H
