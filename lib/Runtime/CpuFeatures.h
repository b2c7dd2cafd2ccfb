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
/// One that CheckedFeatures.def does not list is taken to be there.
std::vector<std::string>
missingFeatures(const std::vector<std::string> &needed);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_CPUFEATURES_H
