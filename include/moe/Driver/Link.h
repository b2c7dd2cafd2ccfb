//===- Link.h - Objects into executables and libraries ----------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DRIVER_LINK_H
#define MOE_DRIVER_LINK_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace moec {

/// The files that linking needs, made by the build: C start-up objects, static
/// libstdc++, libgcc, libc and libm, stubs of the shared ones, the runtime.
struct LinkKit {
  std::string directory;

  /// The kit beside the running program (../lib/moe/kit).
  static llvm::Expected<LinkKit> find(const char *argv0);

  /// The part of it for cross compilation: libraries of AArch64.
  LinkKit cross() const { return {directory + "/aarch64"}; }
};

/// What an executable needs of the system that runs it: libc and libm, or
/// nothing.
enum class Linkage { Dynamic, Static };

/// Links objects with the runtime into an executable at `output`, in process.
llvm::Error linkExecutable(const LinkKit &kit,
                           llvm::ArrayRef<std::string> objects,
                           llvm::StringRef output, Linkage linkage);

/// Links `object` into a shared library at `output`, which programs will look
/// for as `name`.
llvm::Error linkLibrary(const LinkKit &kit, llvm::StringRef object,
                        llvm::StringRef output, llvm::StringRef name);

/// Joins objects into one at `output`.
llvm::Error linkRelocatable(llvm::ArrayRef<llvm::StringRef> objects,
                            llvm::StringRef output);

/// Adds a section at the end of the ELF file `path`, non-alloc, its contents
/// of `bytes` bytes at a multiple of 4096; returns the file offset at which the
/// caller writes them.
llvm::Expected<uint64_t> appendSection(llvm::StringRef path,
                                       llvm::StringRef name, uint64_t bytes);

} // namespace moec

#endif // MOE_DRIVER_LINK_H
