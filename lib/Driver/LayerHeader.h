//===- LayerHeader.h - The header of a library ------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_LAYERHEADER_H
#define MOE_LIB_DRIVER_LAYERHEADER_H

#include "LayerSignature.h"

namespace moec {

/// The C header of the functions in `signatures`; `name` is the library's.
std::string renderHeader(const LayerSignatures &signatures,
                         llvm::StringRef name, llvm::StringRef target);

/// One function as JSON, for callers that have no C compiler.
std::string describeLayer(const LayerSignature &signature);

} // namespace moec

#endif // MOE_LIB_DRIVER_LAYERHEADER_H
