//===- StrictJson.h - JSON without surprises --------------------*- C++ -*-===//
//
// Part of moe-mlir. nlohmann-json keeps the last of two equal keys and nests
// without bound; readers of untrusted files want neither.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_STRICTJSON_H
#define MOE_LIB_IMPORT_STRICTJSON_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <nlohmann/json.hpp>

namespace moe {

/// Parses `text`, which must be one JSON object, nested at most 64 deep, with
/// no key twice in one object. Errors start with `origin`.
llvm::Expected<nlohmann::json> parseStrictJson(llvm::StringRef text,
                                               llvm::StringRef origin);

} // namespace moe

#endif // MOE_LIB_IMPORT_STRICTJSON_H
