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
#include <cstdint>
#include <future>

namespace moec {

/// An open file and its name for messages.
struct OpenFile {
  llvm::StringRef path;
  int fd;

  llvm::Error writeAt(llvm::ArrayRef<char> bytes, uint64_t offset) const;
};

/// Whether weights of `bytes` are written past the system's page cache on a
/// machine of `memory` bytes: more than a quarter of it, which the cache could
/// only keep by giving up much else.
bool isPastCache(uint64_t bytes, uint64_t memory);

/// Bytes of the machine's memory; a container's limit is not looked at.
uint64_t machineMemory();

/// Writes bytes one behind the other, in whole huge pages of the file, while
/// more are appended. Through the page cache the system then keeps them in such
/// pages (file systems that can: ext4 since Linux 6.16, XFS), and who maps the
/// file misses the TLB less often. Past it (O_DIRECT, where the file system
/// takes it) the cache stays as it is, and the system need not find and fill a
/// page for each.
///
/// A write that failed is reported by a later append() or by finish(), and ends
/// the writer's use. Before finish() the last bytes are not in the file.
class WeightsWriter {
public:
  WeightsWriter(OpenFile file, uint64_t offset, bool pastCache);
  ~WeightsWriter();
  WeightsWriter(const WeightsWriter &) = delete;
  WeightsWriter &operator=(const WeightsWriter &) = delete;

  llvm::Error append(llvm::ArrayRef<char> bytes);
  llvm::Error finish();

private:
  llvm::Error wait();
  llvm::Error startWriting();
  llvm::Error write(llvm::ArrayRef<char> bytes, uint64_t at) const;

  OpenFile file;
  int direct;          ///< the file once more, past the cache, or -1
  uint64_t offset;     ///< of `filling` in the file
  uint64_t capacity;   ///< bytes that `filling` takes
  uint64_t filled = 0; ///< bytes that it has
  char *filling, *writing;
  std::future<llvm::Error> written; ///< `writing`
};

} // namespace moec

#endif // MOE_LIB_DRIVER_WEIGHTSWRITER_H
