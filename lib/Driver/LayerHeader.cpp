//===- LayerHeader.cpp - Functions of a graph as C functions --------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "LayerHeader.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace moec;

llvm::Error moec::prepareLayers(ModuleOp module, LayerSignatures &signatures) {
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isPrivate())
      continue;
    LayerSignature signature;
    signature.name = function.getName().str();
    for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
      signature.arguments.push_back({"arg" + std::to_string(i), type});
    for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
      signature.results.push_back({"result" + std::to_string(i), type});
    function->setAttr("llvm.emit_c_interface", UnitAttr::get(module.getContext()));
    signatures.push_back(std::move(signature));
  }
  if (signatures.empty())
    return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                   "the graph has no public function to emit");
  return llvm::Error::success();
}

std::string moec::renderHeader(ModuleOp, const LayerSignatures &,
                               StringRef) {
  return "";
}
