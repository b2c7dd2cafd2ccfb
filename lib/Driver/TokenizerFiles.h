//===- TokenizerFiles.h - A model's files beside its weights ----*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_TOKENIZERFILES_H
#define MOE_LIB_DRIVER_TOKENIZERFILES_H

#include "PayloadWriter.h"

namespace moec {

/// The files of a model's directory that its executable takes along: tokenizer
/// and generation settings, where there are any. Errors: what the executable
/// would refuse when it starts.
llvm::Expected<std::vector<PayloadFile>>
readTokenizerFiles(llvm::StringRef directory, int64_t vocab);

} // namespace moec

#endif // MOE_LIB_DRIVER_TOKENIZERFILES_H
