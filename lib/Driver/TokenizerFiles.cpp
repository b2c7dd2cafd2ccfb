//===- TokenizerFiles.cpp - A model's files beside its weights ------------===//
//
// Part of moe-mlir. Read as the executable will read them, so that a damaged
// file is an error of the compilation.
//
//===----------------------------------------------------------------------===//

#include "TokenizerFiles.h"

#include "Diagnostics.h"
#include "moe/Runtime/Payload.h"
#include "moe/Runtime/TokenizerCheck.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace moec;

llvm::Expected<std::vector<PayloadFile>>
moec::readTokenizerFiles(llvm::StringRef directory, int64_t vocab) {
  namespace runtime = ::moe::runtime;
  std::vector<PayloadFile> files;
  std::map<std::string, std::string> contents;
  for (const char *name :
       {runtime::kTokenizerJsonSection, runtime::kTokenizerModelSection,
        runtime::kTokenizerConfigSection, runtime::kGenerationConfigSection}) {
    llvm::SmallString<256> path(directory);
    llvm::sys::path::append(path, name);
    auto buffer = llvm::MemoryBuffer::getFile(path);
    if (!buffer)
      continue;
    files.push_back({name, (*buffer)->getBuffer().str()});
    contents[name] = files.back().bytes;
  }
  std::string error = runtime::findTokenizerError(contents, vocab);
  if (error.empty())
    return files;
  llvm::SmallString<256> path(directory);
  llvm::sys::path::append(path, error);
  return makeError(path);
}
