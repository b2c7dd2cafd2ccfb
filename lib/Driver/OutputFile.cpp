//===- OutputFile.cpp - A file that appears only when it is whole ---------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "OutputFile.h"

#include "Diagnostics.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

using namespace moec;
namespace path = llvm::sys::path;

/// The file behind a symbolic link (/dev/stdout is one), else the name itself.
static std::string resolved(llvm::StringRef name) {
  llvm::SmallString<256> real;
  if (llvm::sys::fs::real_path(name, real))
    return name.str();
  return std::string(real);
}

static std::string temporaryName(llvm::StringRef name) {
  llvm::SmallString<256> hidden(path::parent_path(name));
  path::append(hidden, "." + path::filename(name) + ".moec-" +
                           llvm::Twine(::getpid()));
  return std::string(hidden);
}

llvm::Error moec::checkWritable(llvm::StringRef name) {
  if (llvm::sys::fs::is_directory(name))
    return makeError(name + ": is a directory; expected the name of a file");
  // A new file would take the place of a device or pipe such as /dev/null.
  bool other = false;
  if (!llvm::sys::fs::is_other(name, other) && other)
    return makeError(name + ": is a device or a pipe; expected the name of a "
                            "file, or - where text goes to standard output");
  std::string real = resolved(name);
  llvm::StringRef parent = path::parent_path(real);
  std::string directory = parent.empty() ? "." : parent.str();
  if (!llvm::sys::fs::is_directory(directory))
    return makeError(name + ": cannot be written: there is no directory " +
                     directory);
  // By trying: what access() says is not all that counts.
  std::string probe = temporaryName(real);
  int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return makeError(name + ": cannot be written: " + std::strerror(errno));
  ::close(fd);
  llvm::sys::fs::remove(probe);
  return llvm::Error::success();
}

void moec::removeOnSignal(llvm::StringRef path) {
  // LLVM's handlers would take the place of SIG_IGN, remove the file and leave
  // the process alive without it.
  constexpr int kSignals[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR2, SIGPIPE};
  struct sigaction before[std::size(kSignals)];
  for (auto [number, action] : llvm::zip(kSignals, before))
    ::sigaction(number, nullptr, &action);
  // By itself LLVM leaves SIGPIPE alone: progress into a pipe that is closed.
  llvm::sys::SetOneShotPipeSignalFunction([] { ::raise(SIGPIPE); });
  llvm::sys::RemoveFileOnSignal(path);
  for (auto [number, action] : llvm::zip(kSignals, before))
    if (action.sa_handler == SIG_IGN)
      ::sigaction(number, &action, nullptr);
}

OutputFile::OutputFile(llvm::StringRef name)
    : path(resolved(name)), temporary(temporaryName(path)),
      guarded(temporary) {
  removeOnSignal(temporary);
}

OutputFile::~OutputFile() {
  llvm::sys::DontRemoveFileOnSignal(guarded);
  if (!temporary.empty())
    llvm::sys::fs::remove(temporary);
}

llvm::Error OutputFile::write(llvm::StringRef contents) {
  std::error_code code;
  llvm::raw_fd_ostream stream(temporary, code);
  if (!code) {
    stream << contents;
    stream.close();
    code = stream.error();
    stream.clear_error();
  }
  if (code)
    return makeError(path + ": cannot be written: " + code.message());
  return llvm::Error::success();
}

llvm::Error OutputFile::keep(bool executable) {
  int fd = ::open(temporary.c_str(), O_RDWR | O_CLOEXEC);
  bool done = fd >= 0 && ::fsync(fd) == 0 &&
              (!executable || ::fchmod(fd, 0755) == 0) &&
              ::rename(temporary.c_str(), path.c_str()) == 0;
  int code = errno;
  if (fd >= 0)
    ::close(fd);
  if (!done)
    return makeError(path + ": cannot be written: " + std::strerror(code));
  temporary.clear();
  return llvm::Error::success();
}
