//===- safetensors.cpp - Fuzz the header of a safetensors file ------------===//
//
// Part of moe-mlir. A header that is accepted must describe bytes that exist:
// every byte of every tensor is read.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Safetensors.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef contents(reinterpret_cast<const char *>(data), size);
  auto tensors = moe::parseSafetensors(contents, "input");
  if (!tensors) {
    std::string message = llvm::toString(tensors.takeError());
    if (message.find('\n') != std::string::npos)
      std::abort();
    return 0;
  }
  volatile uint8_t sum = 0;
  for (const moe::TensorInfo &tensor : *tensors) {
    uint64_t elements = 1;
    for (int64_t extent : tensor.shape)
      elements *= extent;
    if (tensor.bytes != elements * moe::elementBytes(tensor.type))
      std::abort();
    for (uint64_t i = 0; i < tensor.bytes; ++i)
      sum = sum + data[tensor.offset + i];
  }
  return 0;
}
