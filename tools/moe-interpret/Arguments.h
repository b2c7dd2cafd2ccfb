//===- Arguments.h - Values from the command line ---------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_INTERPRET_ARGUMENTS_H
#define MOE_TOOLS_MOE_INTERPRET_ARGUMENTS_H

#include "moe/Reference/RuntimeValue.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/Error.h"

namespace moec::reference {

/// The value that `text` says for an argument of type `type`: an integer for
/// an index, a .npy file or `random:SEED[:SHAPE[:TYPE]]` for a tensor (SHAPE
/// as in 3x64; by default the argument's, which must be static), `zero` or a
/// .npy file [2, positions, heads, head size] for a KV cache.
llvm::Expected<RuntimeValue> parseArgument(llvm::StringRef text,
                                           mlir::Type type);

/// Where weights come from: `random:SEED` or a folder of NAME.npy files.
llvm::Expected<Tensor> makeWeight(llvm::StringRef source,
                                  llvm::StringRef name, Element element,
                                  llvm::ArrayRef<int64_t> shape);

/// A cache as a tensor [2, positions, heads, head size]: keys, then values.
Tensor cacheToTensor(const Cache &cache);

} // namespace moec::reference

#endif // MOE_TOOLS_MOE_INTERPRET_ARGUMENTS_H
