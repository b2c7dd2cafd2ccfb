//===- PartRemarks.h - What each kernel is, and should cost -----*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_PARTREMARKS_H
#define MOE_LIB_DRIVER_PARTREMARKS_H

#include "mlir/IR/BuiltinOps.h"

namespace moec {

/// What the machine can do, in bytes and FLOPs a second; 0: unknown.
struct Rates {
  double read = 0, peak = 0;
};

/// Says of every op of a module in phase `buffers` that becomes a kernel which
/// form it has, what it should cost, and what it missed. Layers that are alike
/// are said once.
void remarkOnParts(mlir::ModuleOp module, const Rates &rates);

} // namespace moec

#endif // MOE_LIB_DRIVER_PARTREMARKS_H
