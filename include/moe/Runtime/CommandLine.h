//===- CommandLine.h - The command line of emitted executables --*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDLINE_H
#define MOE_RUNTIME_COMMANDLINE_H

#include "moe/Runtime/Session.h"

namespace moe::runtime {

/// Runs `model <command> ...` with the best of the versions and returns the
/// exit status: 0 after success, 1 after an error, 2 after a wrong command
/// line, 128 + the signal's number after one that ended a command.
int runCommandLine(int argc, char **argv,
                   std::span<const MoeCodeVersion> versions);

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDLINE_H
