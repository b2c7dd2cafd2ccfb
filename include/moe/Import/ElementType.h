//===- ElementType.h - Element types of tensors on disk ---------*- C++ -*-===//
//
// Part of moe-mlir. The types that safetensors files may hold, their sizes, and
// the exact widening of the floating-point ones to f32.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_IMPORT_ELEMENTTYPE_H
#define MOE_IMPORT_ELEMENTTYPE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>

namespace moe {

enum class ElementType : uint8_t {
  F64,
  F32,
  F16,
  BF16,
  F8E4M3,
  F8E5M2,
  I64,
  I32,
  I16,
  I8,
  U64,
  U32,
  U16,
  U8,
  Bool
};

/// Bytes of one element.
unsigned elementBytes(ElementType type);

/// The safetensors spelling: "BF16".
llvm::StringRef elementName(ElementType type);

/// The inverse of elementName; nothing for a name that is not known.
std::optional<ElementType> parseElementName(llvm::StringRef name);

/// Whether weights may have this type: F32, F16 or BF16.
bool isWeightType(ElementType type);

/// Widens out.size() consecutive elements at `data` (which needs no alignment)
/// to f32; exact for every F32, F16 and BF16 value, NaN payloads included.
/// `type` must be a weight type.
void widenToF32(const void *data, ElementType type,
                llvm::MutableArrayRef<float> out);

} // namespace moe

#endif // MOE_IMPORT_ELEMENTTYPE_H
