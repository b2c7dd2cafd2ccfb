//===- Epilogue.h - Regions over f32 scalars --------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_REFERENCE_EPILOGUE_H
#define MOE_LIB_REFERENCE_EPILOGUE_H

#include "dialects/MoE/IR/MoEDialect.h"

namespace moec::reference {

/// Checks that every op of the region can be evaluated.
mlir::LogicalResult checkEpilogue(mlir::Region &region);

/// The value that the region yields for these arguments. Each is an f32
/// scalar, so each op's result is rounded to f32.
double runEpilogue(mlir::Region &region, llvm::ArrayRef<double> arguments);

} // namespace moec::reference

#endif // MOE_LIB_REFERENCE_EPILOGUE_H
