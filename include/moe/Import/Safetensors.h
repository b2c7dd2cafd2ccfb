//===- Safetensors.h - Memory-mapped safetensors files ----------*- C++ -*-===//
//
// Part of moe-mlir. Reads one safetensors file, or the directory of a
// checkpoint (model.safetensors, or model.safetensors.index.json and its
// shards), without copying tensor data. Every header is validated completely
// before a tensor of it is visible: whoever holds a TensorInfo may read its
// byte range.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_IMPORT_SAFETENSORS_H
#define MOE_IMPORT_SAFETENSORS_H

#include "moe/Import/ElementType.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace moe {

/// One tensor of a safetensors file. Data is row-major and little-endian.
struct TensorInfo {
  std::string name;
  ElementType type = ElementType::F32;
  llvm::SmallVector<int64_t, 4> shape;
  /// Index into Checkpoint::path().
  unsigned file = 0;
  /// From the start of the file; need not be a multiple of the element size.
  uint64_t offset = 0;
  uint64_t bytes = 0;

  int64_t elements() const;
};

/// Parses and validates the header of a safetensors file whose whole contents
/// are given. Tensors come in the order of their data. `origin` names the file
/// in errors, which are one line: file, tensor, what was expected.
llvm::Expected<std::vector<TensorInfo>>
parseSafetensors(llvm::StringRef contents, llvm::StringRef origin);

/// A set of memory-mapped safetensors files with unique tensor names.
class Checkpoint {
public:
  /// Opens `path`: a .safetensors file, a .index.json, or a directory that
  /// holds model.safetensors or model.safetensors.index.json.
  static llvm::Expected<Checkpoint> open(llvm::StringRef path);

  /// Sorted by (file, offset).
  llvm::ArrayRef<TensorInfo> tensors() const { return infos; }

  /// The tensor of this name, or null.
  const TensorInfo *find(llvm::StringRef name) const;

  /// The mapped bytes of a tensor of this checkpoint.
  llvm::ArrayRef<uint8_t> data(const TensorInfo &tensor) const;

  /// The single file or the index; what an error about the whole names.
  llvm::StringRef origin() const { return entry; }

  unsigned fileCount() const { return files.size(); }
  llvm::StringRef path(unsigned file) const;
  uint64_t fileBytes(unsigned file) const;

private:
  llvm::Error addFile(llvm::StringRef path);
  llvm::Error addShards(llvm::StringRef indexPath);

  std::string entry;
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> files;
  std::vector<TensorInfo> infos;
  llvm::StringMap<size_t> byName;
};

} // namespace moe

#endif // MOE_IMPORT_SAFETENSORS_H
