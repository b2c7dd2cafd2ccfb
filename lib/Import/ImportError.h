//===- ImportError.h - One-line errors of the readers -----------*- C++ -*-===//
//
// Part of moe-mlir. Bad input ends with one line that names file, field and
// what was expected; these functions keep it one line whatever the input holds.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_IMPORTERROR_H
#define MOE_LIB_IMPORT_IMPORTERROR_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <string>

namespace moe {

llvm::Error importError(const llvm::Twine &message);

/// `text` in double quotes, control and non-ASCII bytes escaped, shortened.
std::string inQuotes(llvm::StringRef text);

/// "[8, 64]".
std::string shapeText(llvm::ArrayRef<int64_t> shape);

} // namespace moe

#endif // MOE_LIB_IMPORT_IMPORTERROR_H
