//===- Probe.cpp - Writes every op's result to a folder -------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Reference/Probe.h"
#include "moe/Reference/TensorFile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace moec::reference;

/// What `print` writes, as a string.
static std::string
printed(llvm::function_ref<void(llvm::raw_ostream &)> print) {
  std::string text;
  llvm::raw_string_ostream out(text);
  print(out);
  return text;
}

static std::string join(StringRef directory, StringRef name) {
  SmallString<128> path(directory);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

Probe::Probe(StringRef directory, ModuleOp module) : directory(directory) {
  // SSA names are numbered over a whole function: one pass finds them all.
  for (auto function : module.getOps<func::FuncOp>()) {
    AsmState state(function);
    function.walk([&](Operation *op) {
      for (Value result : op->getResults())
        names[result] = printed([&](llvm::raw_ostream &out) {
          result.printAsOperand(out, state);
        });
    });
  }
}

llvm::Expected<Probe> Probe::create(StringRef directory, ModuleOp module) {
  if (std::error_code error = llvm::sys::fs::create_directories(directory))
    return llvm::createStringError(directory + ": " + error.message());
  return Probe(directory, module);
}

std::string Probe::nameOf(Value value) { return names.lookup(value); }

void Probe::observe(Operation *op, ArrayRef<RuntimeValue> results,
                    StringRef callPath) {
  for (auto [result, value] : llvm::zip(op->getResults(), results)) {
    const Tensor *tensor = getTensor(value);
    if (!tensor || isa<func::CallOp>(op))
      continue;
    int64_t number = entries.size();
    std::string file = llvm::formatv("{0,0+3}.npy", number);
    if (llvm::Error error = writeTensor(join(directory, file), *tensor)) {
      if (firstError.empty())
        firstError = llvm::toString(std::move(error));
      else
        llvm::consumeError(std::move(error));
    }
    entries.push_back(llvm::json::Object{
        {"number", number},
        {"file", file},
        {"op", op->getName().getStringRef()},
        {"name", nameOf(result)},
        {"location", printed([&](llvm::raw_ostream &out) {
           op->getLoc().print(out);
         })},
        {"function", op->getParentOfType<func::FuncOp>().getName()},
        {"calls", callPath.str()},
        {"shape", llvm::json::Array(tensor->shape)},
        {"type", getName(tensor->element)}});
  }
}

llvm::Error Probe::finish() {
  if (!firstError.empty())
    return llvm::createStringError(firstError);
  std::string path = join(directory, "index.json");
  std::error_code error;
  llvm::raw_fd_ostream out(path, error);
  if (error)
    return llvm::createStringError(path + ": " + error.message());
  out << llvm::formatv("{0:2}\n", llvm::json::Value(std::move(entries)));
  entries.clear();
  return llvm::Error::success();
}
