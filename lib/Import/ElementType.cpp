//===- ElementType.cpp - Element types of tensors on disk -----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/ElementType.h"

#include "llvm/ADT/bit.h"
#include "llvm/Support/ErrorHandling.h"

#include <cstring>

using namespace moe;

namespace {

struct ElementTypeInfo {
  ElementType type;
  const char *name;
  unsigned bytes;
};

constexpr ElementTypeInfo infos[] = {
    {ElementType::F64, "F64", 8},        {ElementType::F32, "F32", 4},
    {ElementType::F16, "F16", 2},        {ElementType::BF16, "BF16", 2},
    {ElementType::F8E4M3, "F8_E4M3", 1}, {ElementType::F8E5M2, "F8_E5M2", 1},
    {ElementType::I64, "I64", 8},        {ElementType::I32, "I32", 4},
    {ElementType::I16, "I16", 2},        {ElementType::I8, "I8", 1},
    {ElementType::U64, "U64", 8},        {ElementType::U32, "U32", 4},
    {ElementType::U16, "U16", 2},        {ElementType::U8, "U8", 1},
    {ElementType::Bool, "BOOL", 1},
};

const ElementTypeInfo &infoOf(ElementType type) {
  return infos[static_cast<unsigned>(type)];
}

/// IEEE binary16 to binary32. The product with 2^112 moves the exponent and
/// normalises denormals at once; it is exact.
float widenF16(uint16_t half) {
  uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  uint32_t magnitude = static_cast<uint32_t>(half & 0x7fff) << 13;
  if ((half & 0x7c00) == 0x7c00)
    return llvm::bit_cast<float>(sign | 0x7f800000 | magnitude);
  float value = llvm::bit_cast<float>(magnitude) * 0x1p112f;
  return llvm::bit_cast<float>(sign | llvm::bit_cast<uint32_t>(value));
}

template <typename Widen>
void widen16(const void *data, llvm::MutableArrayRef<float> out, Widen widen) {
  const char *bytes = static_cast<const char *>(data);
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, bytes + 2 * i, 2);
    out[i] = widen(bits);
  }
}

} // namespace

unsigned moe::elementBytes(ElementType type) { return infoOf(type).bytes; }

llvm::StringRef moe::elementName(ElementType type) { return infoOf(type).name; }

std::optional<ElementType> moe::parseElementName(llvm::StringRef name) {
  for (const ElementTypeInfo &info : infos)
    if (name == info.name)
      return info.type;
  return std::nullopt;
}

bool moe::isWeightType(ElementType type) {
  return type == ElementType::F32 || type == ElementType::F16 ||
         type == ElementType::BF16;
}

void moe::widenToF32(const void *data, ElementType type,
                     llvm::MutableArrayRef<float> out) {
  switch (type) {
  case ElementType::F32:
    if (!out.empty())
      std::memcpy(out.data(), data, out.size() * sizeof(float));
    return;
  case ElementType::BF16:
    return widen16(data, out, [](uint16_t bits) {
      return llvm::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
    });
  case ElementType::F16:
    return widen16(data, out, widenF16);
  default:
    llvm_unreachable("not a weight type");
  }
}
