//===- PartRemarks.h - What each kernel is, and should cost -----*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_PARTREMARKS_H
#define MOE_LIB_DRIVER_PARTREMARKS_H

#include "mlir/IR/BuiltinOps.h"

namespace moec {

/// Says of every op of a module in phase `buffers` that becomes a kernel which
/// form it has, what it should cost, and what it missed. Layers that are alike
/// are said once.
void remarkOnParts(mlir::ModuleOp module);

} // namespace moec

#endif // MOE_LIB_DRIVER_PARTREMARKS_H
