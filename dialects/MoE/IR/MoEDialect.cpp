//===- MoEDialect.cpp - The moe dialect -----------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/IR/MoEDialect.h"

using namespace mlir;
using namespace mlir::moe;

#include "dialects/MoE/IR/MoEDialect.cpp.inc"
#include "dialects/MoE/IR/MoEEnums.cpp.inc"

void MoEDialect::initialize() {
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/MoE/IR/MoEOps.cpp.inc"
      >();
}
