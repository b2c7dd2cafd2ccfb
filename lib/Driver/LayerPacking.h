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

/// Name of the function that packs weights of a type.
std::string packingName(mlir::lm::PackedType type);

/// Adds to `module`, in phase `vector`, a private function
///   (logical: memref<ExNxK>, packed: memref<...>)
/// for a packed type, unless it is there. Elements are moved as integers of
/// their width.
void addPackingFunction(mlir::ModuleOp module, mlir::lm::PackedType type);

/// The types of its two arguments.
std::pair<mlir::MemRefType, mlir::MemRefType>
packingArguments(mlir::lm::PackedType type);

} // namespace moec

#endif // MOE_LIB_DRIVER_LAYERPACKING_H
