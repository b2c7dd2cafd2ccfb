//===- ImportError.cpp - One-line errors of the readers -------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "ImportError.h"

#include "llvm/ADT/StringExtras.h"

using namespace moe;

llvm::Error moe::importError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

std::string moe::inQuotes(llvm::StringRef text) {
  constexpr size_t limit = 120;
  std::string out = "\"";
  for (char c : text.take_front(limit)) {
    if (llvm::isPrint(c) && c != '"' && c != '\\') {
      out += c;
      continue;
    }
    out += "\\x";
    out += llvm::hexdigit(static_cast<unsigned char>(c) >> 4);
    out += llvm::hexdigit(static_cast<unsigned char>(c) & 15);
  }
  return out + (text.size() > limit ? "...\"" : "\"");
}

std::string moe::shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}
