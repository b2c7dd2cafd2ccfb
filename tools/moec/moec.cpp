//===- moec.cpp - The compiler driver -------------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Arguments.h"

#include "llvm/Config/llvm-config.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <csignal>
#include <exception>
#include <unistd.h>

/// One line, whatever the message was made of.
static int fail(llvm::Error error) {
  std::string message = llvm::toString(std::move(error));
  llvm::replace(message, '\n', ' ');
  llvm::errs() << "moec: error: " << message << "\n";
  return 1;
}

/// Ends a run that LLVM cannot go on with. It comes from anywhere, so nothing
/// is unwound: what a signal would remove is removed, and no memory is asked
/// for. The first thread to come speaks for all.
[[noreturn]] static void end(llvm::StringRef message) {
  static std::atomic_flag ended;
  while (ended.test_and_set())
    ::pause();
  for (llvm::StringRef part : {llvm::StringRef("moec: error: "), message,
                               llvm::StringRef("\n")})
    if (::write(STDERR_FILENO, part.data(), part.size()) < 0)
      break;
  llvm::sys::RunInterruptHandlers();
  ::_exit(1);
}

static void installErrorHandlers() {
  llvm::install_bad_alloc_error_handler(
      [](void *, const char *, bool) { end("out of memory"); });
  llvm::install_out_of_memory_new_handler();
  llvm::install_fatal_error_handler(
      [](void *, const char *reason, bool) { end(reason); });
  // Nothing here throws but the standard library, where a thread is refused.
  std::set_terminate([] { end("out of memory or threads"); });
}

int main(int argc, char **argv) {
  installErrorHandlers();
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
