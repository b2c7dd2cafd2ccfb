//===- Progress.cpp - What a user sees of a long compile ------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Progress.h"

#include "Diagnostics.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <unistd.h>

using namespace moec;

std::string moec::showBytes(uint64_t bytes) {
  static constexpr const char *units[] = {"bytes", "kB", "MB", "GB", "TB"};
  if (bytes < 1000)
    return llvm::formatv("{0} bytes", bytes);
  double value = double(bytes);
  unsigned unit = 0;
  while (value >= 999.5 && unit < 4) {
    value /= 1000;
    ++unit;
  }
  if (value < 9.995)
    return llvm::formatv("{0:f2} {1}", value, units[unit]);
  if (value < 99.95)
    return llvm::formatv("{0:f1} {1}", value, units[unit]);
  return llvm::formatv("{0:f0} {1}", value, units[unit]);
}

llvm::Error moec::checkRoom(llvm::StringRef path, uint64_t bytes) {
  llvm::StringRef parent = llvm::sys::path::parent_path(path);
  auto space = llvm::sys::fs::disk_space(parent.empty() ? "." : parent);
  // Where the file system does not say, writing will.
  if (!space || space->available >= bytes)
    return llvm::Error::success();
  return makeError(path + ": its weights need " + showBytes(bytes) +
                   ", but only " + showBytes(space->available) +
                   " are free on its file system");
}

Progress::Progress(llvm::StringRef what, uint64_t total)
    : what(what), total(std::max<uint64_t>(total, 1)),
      terminal(::isatty(STDERR_FILENO)),
      next(Clock::now() + std::chrono::seconds(1)) {}

Progress::~Progress() {
  if (shown && terminal)
    llvm::errs() << "\r\033[K";
}

void Progress::report(uint64_t done) {
  Clock::time_point now = Clock::now();
  if (now < next)
    return;
  next = now + (terminal ? std::chrono::milliseconds(200)
                         : std::chrono::milliseconds(10000));
  shown = true;
  llvm::errs() << (terminal ? "\r" : "")
               << llvm::formatv("moec: {0}: {1} % of {2}", what,
                                done * 100 / total, showBytes(total))
               << (terminal ? "" : "\n");
}
