//===- StepParts.h - From IR to the list of a step's kernels ----*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_STEPPARTS_H
#define MOE_LIB_KERNELS_STEPPARTS_H

#include "moe/Kernels/Target.h"
#include "moe/Runtime/StepParts.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec::kernels {

/// A part and the op that it was, for who asks more of it.
struct DescribedPart {
  mlir::Operation *op;
  moe::runtime::StepPart part;
  /// Of a product of rows by experts: how many a token chooses, of how many.
  int64_t slots = 0, experts = 0;
};

/// The ops of a function in phase `buffers` that become kernels, in order.
llvm::SmallVector<DescribedPart> describeParts(mlir::func::FuncOp function);

/// The calls of a step's layers: the i-th is of layer i.
llvm::SmallVector<mlir::func::CallOp> layerCallsOf(mlir::func::FuncOp step);

/// The parts of a model's step (`lm.step`), phase `buffers`; empty if the
/// module has none.
moe::runtime::StepParts describeStep(mlir::ModuleOp module);

/// How an op in buffer form multiplies, by name; empty if it does not.
std::string recipeOf(mlir::Operation *op, const Target &target);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_STEPPARTS_H
