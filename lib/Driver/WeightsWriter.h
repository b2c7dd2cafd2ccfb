//===- WeightsWriter.h - Writes weights to an open file ---------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_WEIGHTSWRITER_H
#define MOE_LIB_DRIVER_WEIGHTSWRITER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <memory>

namespace moec {

/// An open file and its name for messages.
struct OpenFile {
  llvm::StringRef path;
  int fd;

  llvm::Error writeAt(llvm::ArrayRef<char> bytes, uint64_t offset) const {
    return writeBothAt({}, bytes, offset);
  }
  /// Writes two runs of bytes, one behind the other.
  llvm::Error writeBothAt(llvm::ArrayRef<char> first,
                          llvm::ArrayRef<char> second, uint64_t offset) const;
};

/// Writes bytes one behind the other, in whole huge pages of the file: the
/// system then caches it in such pages (file systems that can: ext4 since Linux
/// 6.16, XFS), and who maps it misses the TLB less often.
class WeightsWriter {
public:
  virtual ~WeightsWriter();
  virtual llvm::Error append(llvm::ArrayRef<char> bytes) = 0;
  virtual llvm::Error finish() = 0;

  /// Through the system's page cache, which keeps what it can.
  static std::unique_ptr<WeightsWriter> throughCache(OpenFile file,
                                                     uint64_t offset);
  /// From own memory to the disk (O_DIRECT), as far as the file system lets it:
  /// the cache stays as it is, and its pages need not be found, cleared and
  /// filled.
  static std::unique_ptr<WeightsWriter> pastCache(OpenFile file,
                                                  uint64_t offset);
  /// The one for `bytes`: past the cache from a quarter of the machine's memory
  /// on.
  static std::unique_ptr<WeightsWriter> of(OpenFile file, uint64_t offset,
                                           uint64_t bytes);
};

} // namespace moec

#endif // MOE_LIB_DRIVER_WEIGHTSWRITER_H
