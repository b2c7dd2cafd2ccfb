//===- Interrupt.h - Ctrl-C -------------------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDS_INTERRUPT_H
#define MOE_RUNTIME_COMMANDS_INTERRUPT_H

namespace moe::runtime {

/// The first SIGINT is only remembered, the second one ends the process. Also
/// ignores SIGPIPE, so that a closed pipe is seen as EPIPE.
void installSignalHandlers();

/// True from the first SIGINT on.
bool interrupted();

/// The shell's status of a process that SIGINT ended.
inline constexpr int kInterruptedStatus = 130;

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDS_INTERRUPT_H
