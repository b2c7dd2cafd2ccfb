//===- CodeVersions.h - Which version of the code runs ----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_CODEVERSIONS_H
#define MOE_LIB_RUNTIME_CODEVERSIONS_H

#include "CpuFeatures.h"
#include "moe/Runtime/CompiledABI.h"
#include "moe/Runtime/PayloadReader.h"

namespace moe::runtime {

/// Tells which of the features a CPU lacks.
using CpuQuestion =
    std::vector<std::string> (*)(const std::vector<std::string> &);

/// The version to run: of those whose features the CPU has, the one that
/// requires most, and of equals the last. With `asked`, the version of that
/// name. Errors: none fits, with what the nearest one lacks; an unknown name.
Result<size_t> chooseVersion(std::span<const CodeVersion> versions,
                             const std::string &asked,
                             CpuQuestion missing = missingFeatures);

/// The version of that name; the first if it is empty.
Result<size_t> findVersion(std::span<const CodeVersion> versions,
                           const std::string &name);

/// An error when a payload (of --weights) describes other versions than the
/// executable holds: its sizes would be wrong for the code.
Result<void> checkTable(std::span<const CodeVersion> described,
                        std::span<const MoeCodeVersion> compiled);

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_CODEVERSIONS_H
