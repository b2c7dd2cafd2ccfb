//===- CpuFeatures.h - Whether this CPU can run the model -------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_CPUFEATURES_H
#define MOE_LIB_RUNTIME_CPUFEATURES_H

#include "moe/Runtime/Result.h"

#include <string>
#include <vector>

namespace moe::runtime {

/// An error that names the features which generated code needs and this CPU
/// lacks. Names are LLVM's: "avx512bw".
Result<void> checkCpu(const std::vector<std::string> &needed);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_CPUFEATURES_H
