//===- Interrupt.h - Signals that end a command -----------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDS_INTERRUPT_H
#define MOE_RUNTIME_COMMANDS_INTERRUPT_H

namespace moe::runtime {

/// The first SIGINT is only remembered; a second one ends the process. Also
/// ignores SIGPIPE, so that a closed pipe is seen as EPIPE.
void installSignalHandlers();

/// The same for SIGTERM and SIGHUP, of a command that is about to make a file:
/// it asks interrupted() and leaves nothing unfinished behind.
void finishAtSignals();

/// True from the first of them on.
bool interrupted();

/// The shell's status of a process that such a signal ended.
int interruptedStatus();

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDS_INTERRUPT_H
