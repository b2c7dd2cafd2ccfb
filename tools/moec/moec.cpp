//===- moec.cpp - The compiler driver -------------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Arguments.h"

#include "llvm/Config/llvm-config.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>

/// One line, whatever the message was made of.
static int fail(llvm::Error error) {
  std::string message = llvm::toString(std::move(error));
  llvm::replace(message, '\n', ' ');
  llvm::errs() << "moec: error: " << message << "\n";
  return 1;
}

int main(int argc, char **argv) {
  // A limit on the size of files is an error like a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  llvm::Expected<moec::CommandLine> line = moec::parseCommandLine(
      llvm::ArrayRef<const char *>(argv, size_t(argc)));
  if (!line)
    return fail(line.takeError());
  switch (line->action) {
  case moec::CommandLine::Help:
    llvm::outs() << moec::helpText();
    return 0;
  case moec::CommandLine::Version:
    llvm::outs() << "moec " MOE_VERSION " (LLVM " LLVM_VERSION_STRING ")\n";
    return 0;
  case moec::CommandLine::Compile:
    break;
  }
  if (llvm::Error error = moec::compile(line->options))
    return fail(std::move(error));
  return 0;
}
