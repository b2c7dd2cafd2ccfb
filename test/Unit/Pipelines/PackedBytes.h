//===- PackedBytes.h - Tensors as compiled code reads them ------*- C++ -*-===//
//
// Part of moe-mlir. Written from the description of !lm.packed alone, so that
// it can disagree with the driver's packer.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PIPELINES_PACKEDBYTES_H
#define MOE_TEST_UNIT_PIPELINES_PACKEDBYTES_H

#include "dialects/LM/IR/LMDialect.h"
#include "moe/Reference/Tensor.h"

namespace moec::test {

using Bytes = std::vector<char>;

int64_t bytesOf(reference::Element element);
/// One number in memory.
void store(reference::Element element, double value, char *at);
double load(reference::Element element, const char *at);

/// A row-major tensor.
Bytes toBytes(const reference::Tensor &tensor);
/// A weight in its packed layout, padding zero.
Bytes pack(const reference::Tensor &weight, mlir::lm::PackedType type);

} // namespace moec::test

#endif // MOE_TEST_UNIT_PIPELINES_PACKEDBYTES_H
