//===- Interrupt.cpp - Signals that end a command -------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Interrupt.h"

#include <csignal>

namespace moe::runtime {

static volatile std::sig_atomic_t signalSeen = 0;

static void onSignal(int signal) { signalSeen = signal; }

void installSignalHandlers() {
  struct sigaction action = {}, before;
  action.sa_handler = onSignal;
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // nohup ignores it for us.
  if (sigaction(SIGHUP, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
    sigaction(SIGHUP, &action, nullptr);
  action.sa_handler = SIG_IGN;
  action.sa_flags = 0;
  sigaction(SIGPIPE, &action, nullptr);
  // A limit on the size of files is an error like a full disk.
  sigaction(SIGXFSZ, &action, nullptr);
}

bool interrupted() { return signalSeen != 0; }

int interruptedStatus() { return 128 + signalSeen; }

} // namespace moe::runtime
