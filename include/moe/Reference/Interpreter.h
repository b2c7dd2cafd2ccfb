//===- Interpreter.h - Runs lm and moe ops on tensors -----------*- C++ -*-===//
//
// Part of moe-mlir. The meaning of every op in value form, written to be read:
// all arithmetic is in f64 and a result is rounded once, to its element type.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_REFERENCE_INTERPRETER_H
#define MOE_REFERENCE_INTERPRETER_H

#include "moe/Reference/RuntimeValue.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

#include <functional>
#include <map>

namespace moec::reference {

/// What moe.record made known.
struct RoutingRecord {
  int64_t index;
  Tensor weights, ids;
};

/// What an interpreter asks of its surroundings.
struct InterpreterOptions {
  /// Supplies a declared weight. Fails with a message of its own.
  std::function<llvm::Expected<Tensor>(llvm::StringRef name, Element element,
                                       llvm::ArrayRef<int64_t> shape)>
      weightSource;
  /// Sees the results of every op once they are known. `callPath` names the
  /// calls that led there: `step/layer#2`, the third call of @layer.
  std::function<void(mlir::Operation *op,
                     llvm::ArrayRef<RuntimeValue> results,
                     llvm::StringRef callPath)>
      observer;
};

/// Runs functions of one module. KV caches named by lm.layer_state live as
/// long as the interpreter.
class Interpreter {
public:
  explicit Interpreter(mlir::ModuleOp module, InterpreterOptions options = {});

  /// Runs a function. Errors are diagnostics at the op that failed.
  mlir::FailureOr<std::vector<RuntimeValue>>
  run(llvm::StringRef function, std::vector<RuntimeValue> arguments);

  /// What moe.record made known since the last call of `run` began.
  llvm::ArrayRef<RoutingRecord> getRecords() const { return records; }
  /// Caches of lm.layer_state by layer.
  std::map<int64_t, std::shared_ptr<Cache>> caches;

private:
  friend class Frame;

  mlir::ModuleOp module;
  InterpreterOptions options;
  llvm::StringMap<RuntimeValue> weights;
  std::vector<RoutingRecord> records;
};

} // namespace moec::reference

#endif // MOE_REFERENCE_INTERPRETER_H
