//===- Interrupt.cpp - Ctrl-C ---------------------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Interrupt.h"

#include <csignal>

namespace moe::runtime {

static volatile std::sig_atomic_t interruptSeen = 0;

static void onInterrupt(int) { interruptSeen = 1; }

void installSignalHandlers() {
  struct sigaction action = {};
  action.sa_handler = onInterrupt;
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  action.sa_handler = SIG_IGN;
  action.sa_flags = 0;
  sigaction(SIGPIPE, &action, nullptr);
  // A limit on the size of files is an error like a full disk.
  sigaction(SIGXFSZ, &action, nullptr);
}

bool interrupted() { return interruptSeen != 0; }

} // namespace moe::runtime
