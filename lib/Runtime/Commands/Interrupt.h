//===- Interrupt.h - Signals that end a command -----------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDS_INTERRUPT_H
#define MOE_RUNTIME_COMMANDS_INTERRUPT_H

namespace moe::runtime {

/// The first SIGINT, SIGTERM or SIGHUP is only remembered, so that the command
/// ends in its own way; the second one of a kind ends the process. Also ignores
/// SIGPIPE, so that a closed pipe is seen as EPIPE.
void installSignalHandlers();

/// True from the first of them on.
bool interrupted();

/// The shell's status of a process that such a signal ended.
int interruptedStatus();

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDS_INTERRUPT_H
