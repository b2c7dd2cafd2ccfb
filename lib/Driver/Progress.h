//===- Progress.h - What a user sees of a long compile ----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_PROGRESS_H
#define MOE_LIB_DRIVER_PROGRESS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <chrono>
#include <string>

namespace moec {

/// "13.8 GB": three figures, powers of 1000 as disks are sold.
std::string showBytes(uint64_t bytes);

/// Checks that the file system of `path` has room for a file of `bytes` bytes.
llvm::Error checkRoom(llvm::StringRef path, uint64_t bytes);

/// Says on stderr how far something is, once it has taken a second: on a
/// terminal in place, elsewhere a line every ten seconds.
class Progress {
public:
  Progress(llvm::StringRef what, uint64_t total);
  ~Progress();
  void report(uint64_t done);

private:
  using Clock = std::chrono::steady_clock;
  std::string what;
  uint64_t total;
  bool terminal, shown = false;
  Clock::time_point next;
};

} // namespace moec

#endif // MOE_LIB_DRIVER_PROGRESS_H
