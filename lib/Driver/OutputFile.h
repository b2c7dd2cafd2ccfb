//===- OutputFile.h - A file that appears only when it is whole -*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_OUTPUTFILE_H
#define MOE_LIB_DRIVER_OUTPUTFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace moec {

/// Checks that a file can be made at `path`: its directory exists and is
/// writable, and the name is not a directory's.
llvm::Error checkWritable(llvm::StringRef path);

/// Has a signal that ends the process remove the file first; a signal that is
/// ignored (nohup) stays so. llvm::sys::DontRemoveFileOnSignal takes it back.
void removeOnSignal(llvm::StringRef path);

/// A file that takes its name only when it is whole. Until then it lies beside
/// it as `.NAME.moec-PID`, and goes with this object.
class OutputFile {
public:
  explicit OutputFile(llvm::StringRef path);
  ~OutputFile();
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;

  /// Where to write.
  const std::string &name() const { return temporary; }

  /// Writes the whole contents.
  llvm::Error write(llvm::StringRef contents);
  /// Flushes to disk and takes the final name.
  llvm::Error keep(bool executable);

private:
  std::string path, temporary;
  /// What a signal's handler would remove.
  std::string guarded;
};

} // namespace moec

#endif // MOE_LIB_DRIVER_OUTPUTFILE_H
