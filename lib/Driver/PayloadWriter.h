//===- PayloadWriter.h - Writes a model's payload ---------------*- C++ -*-===//
//
// Part of moe-mlir. The layout is that of docs/executable-format.md.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_PAYLOADWRITER_H
#define MOE_LIB_DRIVER_PAYLOADWRITER_H

#include "moe/Driver/Pack.h"
#include "moe/Driver/TargetMachine.h"
#include "moe/Import/ModelBuilder.h"
#include "moe/Import/WeightMap.h"

#include "mlir/IR/BuiltinOps.h"

namespace moec {

/// A file that becomes a section as it is: tokenizer.json and the like.
struct PayloadFile {
  std::string name, bytes;
};

/// Everything that a payload is made of.
struct PayloadInputs {
  mlir::ModuleOp module; // in a phase after `buffers`
  llvm::ArrayRef<WeightPlacement> placements;
  const moe::ModelConfig &config;
  moe::ElementType activation;
  moe::CacheType cacheType;
  const moe::WeightSource &weights;
  const MachineDescription &machine;
  std::string modelName;
  int64_t chunk;
  unsigned threads;
  std::vector<PayloadFile> files;
};

/// Bytes that the payload will take.
uint64_t payloadBytes(const PayloadInputs &inputs);

/// Writes the payload into the file `path`, open as `fd`, from `offset` on.
llvm::Error writePayload(const PayloadInputs &inputs, llvm::StringRef path,
                         int fd, uint64_t offset);

} // namespace moec

#endif // MOE_LIB_DRIVER_PAYLOADWRITER_H
