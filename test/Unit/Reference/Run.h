//===- Run.h - Runs IR text by the interpreter ------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_REFERENCE_RUN_H
#define MOE_TEST_UNIT_REFERENCE_RUN_H

#include "moe/Reference/Interpreter.h"
#include "moe/Reference/RandomTensor.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <gtest/gtest.h>

namespace moec::test {

using reference::Element;
using reference::RuntimeValue;
using reference::Tensor;

/// A parsed module and what its diagnostics said.
class Program {
public:
  explicit Program(const std::string &text);

  /// Runs @main. On failure there are no results and `error` has the text.
  std::vector<RuntimeValue>
  run(std::vector<RuntimeValue> arguments,
      reference::InterpreterOptions options = {});
  /// The first result, which is a tensor; an empty one on failure.
  Tensor runForTensor(std::vector<RuntimeValue> arguments);

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string error;
  std::vector<reference::RoutingRecord> records;
};

/// `func.func @main(arguments) -> type { %r = op; return %r }`.
std::string wrap(const std::string &arguments, const std::string &op,
                 const std::string &type);

/// f32 unless said otherwise.
RuntimeValue rows(llvm::ArrayRef<int64_t> shape, std::vector<double> data,
                  Element element = Element::F32);
RuntimeValue ids(llvm::ArrayRef<int64_t> shape, std::vector<double> data);
/// Random numbers in [-1, 1).
RuntimeValue random(uint64_t seed, llvm::ArrayRef<int64_t> shape,
                    Element element = Element::F32);

const Tensor &tensorOf(const RuntimeValue &value);

/// Expects every element within `tolerance`, relative to its size or 1.
void expectNear(const Tensor &tensor, const std::vector<double> &expected,
                double tolerance = 1e-6);

} // namespace moec::test

#endif // MOE_TEST_UNIT_REFERENCE_RUN_H
