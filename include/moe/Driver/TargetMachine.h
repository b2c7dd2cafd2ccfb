//===- TargetMachine.h - Which machine code is made for ---------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DRIVER_TARGETMACHINE_H
#define MOE_DRIVER_TARGETMACHINE_H

#include "moe/Kernels/Target.h"

#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"
#include <memory>
#include <vector>

namespace moec {

/// A machine in LLVM's terms and in those of the kernels.
struct MachineDescription {
  std::string triple, cpu, features;
  /// A version of an architecture that stands for a CPU: "armv8.4-a".
  std::string level;
  /// Features that an emitted program checks for at its start.
  std::vector<std::string> required;
  kernels::Target kernels;

  /// "znver4 (AVX-512)"
  std::string cpuName() const;
  /// Whether compiling for it is cross compilation: machines that the compiler
  /// runs on do not run its code.
  bool isCross() const { return kernels.isAArch64(); }
  /// "target znver4 (AVX-512), recipe bf16-dot-pairs"
  std::string describe() const;
};

/// `name` is empty or "native" for this host, "x86-64-v3", "x86-64-v4", a
/// version of AArch64 ("armv8-a"), or the name of a CPU that LLVM knows.
llvm::Expected<MachineDescription> describeMachine(llvm::StringRef name,
                                                   bool emulateISA);

/// The machines of --target: one name, or several with commas.
llvm::Expected<std::vector<MachineDescription>>
describeMachines(llvm::StringRef names, bool emulateISA);

/// LLVM's back end for a machine.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const MachineDescription &machine);

} // namespace moec

#endif // MOE_DRIVER_TARGETMACHINE_H
