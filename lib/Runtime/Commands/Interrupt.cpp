//===- Interrupt.cpp - Signals that end a command -------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Interrupt.h"

#include <csignal>
#include <initializer_list>

namespace moe::runtime {

static volatile std::sig_atomic_t signalSeen = 0;

static void onSignal(int signal) {
  if (signalSeen) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  signalSeen = signal;
}

static void remember(int signal) {
  struct sigaction action = {};
  action.sa_handler = onSignal;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

void installSignalHandlers() {
  remember(SIGINT);
  struct sigaction action = {};
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
  // A limit on the size of files is an error like a full disk.
  sigaction(SIGXFSZ, &action, nullptr);
}

void finishAtSignals() {
  for (int signal : {SIGTERM, SIGHUP}) {
    struct sigaction before;
    // Who ignores it (nohup) means us as well.
    if (sigaction(signal, nullptr, &before) == 0 &&
        before.sa_handler != SIG_IGN)
      remember(signal);
  }
}

bool interrupted() { return signalSeen != 0; }

int interruptedStatus() { return 128 + signalSeen; }

} // namespace moe::runtime
