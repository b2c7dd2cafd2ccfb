//===- Arguments.h - moec's command line ------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOEC_ARGUMENTS_H
#define MOE_TOOLS_MOEC_ARGUMENTS_H

#include "moe/Driver/Compile.h"

namespace moec {

/// What a command line asks for.
struct CommandLine {
  enum Action { Compile, Help, Version } action = Compile;
  CompileOptions options;
};

/// Reads a command line; an error is one line.
llvm::Expected<CommandLine>
parseCommandLine(llvm::ArrayRef<const char *> arguments);

/// The text of --help.
std::string helpText();

} // namespace moec

#endif // MOE_TOOLS_MOEC_ARGUMENTS_H
