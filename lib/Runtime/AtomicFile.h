//===- AtomicFile.h - Files that appear whole or not at all -----*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_ATOMICFILE_H
#define MOE_RUNTIME_ATOMICFILE_H

#include "moe/Runtime/Result.h"

#include <string>

namespace moe::runtime {

/// Writes to a temporary file beside `path`; commit() gives it its name. What
/// is not committed is removed. A path that exists and is no regular file
/// (/dev/stdout, a pipe) is written directly.
class AtomicFile {
public:
  static Result<AtomicFile> create(const std::string &path);
  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&) = delete;
  ~AtomicFile();

  Result<void> write(const void *data, size_t bytes);
  Result<void> commit();

private:
  AtomicFile() = default;
  std::string path, temporary;
  int fd = -1;
};

/// Whether both paths name one file, there or not yet.
bool nameSameFile(const std::string &a, const std::string &b);

} // namespace moe::runtime

#endif // MOE_RUNTIME_ATOMICFILE_H
