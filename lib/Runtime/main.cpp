//===- main.cpp - Entry of emitted executables ----------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/CommandLine.h"

int main(int argc, char **argv) {
  return moe::runtime::runCommandLine(argc, argv, &_mlir_ciface_moe_step);
}
