//===- Join.h - A list as text ----------------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_RUNTIME_JOIN_H
#define MOE_LIB_RUNTIME_JOIN_H

#include <span>
#include <string>

namespace moe::runtime {

/// "a, b, c"
inline std::string join(std::span<const std::string> items,
                        const char *separator = ", ") {
  std::string text;
  for (const std::string &item : items)
    text += (&item == items.data() ? "" : separator) + item;
  return text;
}

} // namespace moe::runtime

#endif // MOE_LIB_RUNTIME_JOIN_H
