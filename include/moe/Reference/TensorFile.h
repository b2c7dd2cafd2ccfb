//===- TensorFile.h - Tensors in NumPy's .npy format ------------*- C++ -*-===//
//
// Part of moe-mlir. bf16, which NumPy lacks, is written as f32.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_REFERENCE_TENSORFILE_H
#define MOE_REFERENCE_TENSORFILE_H

#include "moe/Reference/Tensor.h"

#include "llvm/Support/Error.h"

namespace moec::reference {

/// Writes a tensor as f8, f4, f2 or i4.
llvm::Error writeTensor(llvm::StringRef path, const Tensor &tensor);

/// Reads an f8, f4, f2, i4 or i8 array (little-endian, C order) and rounds it
/// to `element`.
llvm::Expected<Tensor> readTensor(llvm::StringRef path, Element element);

} // namespace moec::reference

#endif // MOE_REFERENCE_TENSORFILE_H
