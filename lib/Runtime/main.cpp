//===- main.cpp - Entry of emitted executables ----------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/CommandLine.h"

int main(int argc, char **argv) {
  return moe::runtime::runCommandLine(
      argc, argv, {moe_code_versions, size_t(moe_code_version_count)});
}
