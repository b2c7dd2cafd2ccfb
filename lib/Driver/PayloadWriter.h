//===- PayloadWriter.h - Writes a model's payload ---------------*- C++ -*-===//
//
// Part of moe-mlir. The layout is that of docs/executable-format.md.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_PAYLOADWRITER_H
#define MOE_LIB_DRIVER_PAYLOADWRITER_H

#include "CodeVersion.h"
#include "moe/Import/ModelBuilder.h"
#include "moe/Import/WeightMap.h"

namespace moec {

/// A file that becomes a section as it is: tokenizer.json and the like.
struct PayloadFile {
  std::string name, bytes;
};

/// Everything that a payload is made of.
struct PayloadInputs {
  /// One or more, with one layout of the weights.
  llvm::ArrayRef<CodeVersion> versions;
  const moe::ModelConfig &config;
  /// The default first.
  llvm::ArrayRef<moe::CacheType> cacheTypes;
  /// Of layers' matrices, if they are quantised.
  std::optional<mlir::lm::Format> weightFormat;
  const moe::WeightSource &weights;
  std::string modelName;
  int64_t chunk;
  unsigned threads;
  std::vector<PayloadFile> files;
};

/// A hash of what a version's code takes for granted: the model, its layout in
/// memory and the sizes that the runtime allocates. Not the weights' values.
uint64_t layoutHash(const PayloadInputs &inputs, const CodeVersion &version);

/// Bytes that the payload will take.
uint64_t payloadBytes(const PayloadInputs &inputs);

/// Writes the payload into the file `path`, open as `fd`, from `offset` on.
llvm::Error writePayload(const PayloadInputs &inputs, llvm::StringRef path,
                         int fd, uint64_t offset);

} // namespace moec

#endif // MOE_LIB_DRIVER_PAYLOADWRITER_H
