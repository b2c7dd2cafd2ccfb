//===- moe-opt.cpp - Runs passes on .mlir files ---------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Pipelines/Pipelines.h"

#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  moec::registerDialects(registry);
  moec::registerPassesAndPipelines();
  mlir::registerTransformsPasses();
  mlir::memref::registerResolveRankedShapeTypeResultDimsPass();
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "moe-mlir modular optimizer driver\n", registry));
}
