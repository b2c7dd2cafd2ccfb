//===- AtomicFile.cpp - Files that appear whole or not at all -------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "AtomicFile.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace moe::runtime {

/// mkstemp makes files of mode 0600; the result should obey the umask.
static void applyUmask(int fd) {
  mode_t mask = umask(0);
  umask(mask);
  fchmod(fd, 0666 & ~mask);
}

Result<AtomicFile> AtomicFile::create(const std::string &path) {
  AtomicFile file;
  file.path = path;
  // Behind a symbolic link (/dev/stdout is one) lies what is to be replaced.
  if (char *real = realpath(path.c_str(), nullptr)) {
    file.path = real;
    free(real);
  }
  struct stat status;
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    if (S_ISDIR(status.st_mode))
      return fail(path, ": is a directory");
    file.fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    file.temporary = file.path + ".XXXXXX";
    file.fd = mkostemp(file.temporary.data(), O_CLOEXEC);
    if (file.fd < 0)
      file.temporary.clear();
    else
      applyUmask(file.fd);
  }
  if (file.fd < 0)
    return fail(path, ": cannot create: ", std::strerror(errno));
  return file;
}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : path(std::move(other.path)),
      temporary(std::exchange(other.temporary, {})),
      fd(std::exchange(other.fd, -1)) {}

AtomicFile::~AtomicFile() {
  if (fd >= 0)
    close(fd);
  if (!temporary.empty())
    unlink(temporary.c_str());
}

Result<void> AtomicFile::write(const void *data, size_t bytes) {
  const char *at = static_cast<const char *>(data);
  while (bytes > 0) {
    ssize_t done = ::write(fd, at, bytes);
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return fail(path, ": cannot write: ", std::strerror(errno));
    at += done;
    bytes -= size_t(done);
  }
  return {};
}

Result<void> AtomicFile::commit() {
  if (temporary.empty())
    return {};
  if (fsync(fd) != 0)
    return fail(path, ": cannot write: ", std::strerror(errno));
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return fail(path, ": cannot create: ", std::strerror(errno));
  temporary.clear();
  return {};
}

static bool isSameInode(const struct stat &a, const struct stat &b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool nameSameFile(const std::string &a, const std::string &b) {
  struct stat first, second;
  bool hasFirst = stat(a.c_str(), &first) == 0;
  bool hasSecond = stat(b.c_str(), &second) == 0;
  if (hasFirst || hasSecond)
    return hasFirst && hasSecond && isSameInode(first, second);
  // Of files to come, where they would lie.
  auto split = [](const std::string &path) {
    size_t slash = path.rfind('/');
    return slash == path.npos
               ? std::pair(std::string("."), path)
               : std::pair(path.substr(0, slash + 1), path.substr(slash + 1));
  };
  auto [folderA, nameA] = split(a);
  auto [folderB, nameB] = split(b);
  return nameA == nameB && stat(folderA.c_str(), &first) == 0 &&
         stat(folderB.c_str(), &second) == 0 && isSameInode(first, second);
}

} // namespace moe::runtime
