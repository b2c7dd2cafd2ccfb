//===- CpuFeatures.h - Whether this CPU can run the model -------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_CPUFEATURES_H
#define MOE_LIB_RUNTIME_CPUFEATURES_H

#include <string>
#include <vector>

namespace moe::runtime {

/// Those of the features that this CPU lacks. Names are LLVM's: "avx512bw".
/// One that is not known here is taken to be missing. The question for AMX asks
/// the system to let this process use it.
std::vector<std::string>
missingFeatures(const std::vector<std::string> &needed);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_CPUFEATURES_H
