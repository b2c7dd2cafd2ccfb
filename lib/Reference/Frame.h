//===- Frame.h - Values of one call of a function ---------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_REFERENCE_FRAME_H
#define MOE_LIB_REFERENCE_FRAME_H

#include "moe/Reference/Interpreter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec::reference {

/// Values of one call. What ops get at their operands with, and the one place
/// where results are rounded.
class Frame {
public:
  Frame(Interpreter &machine, mlir::func::FuncOp function, std::string path)
      : machine(machine), function(function), path(std::move(path)) {}

  /// Runs the function's ops; returns the operands of its return.
  mlir::FailureOr<std::vector<RuntimeValue>>
  run(std::vector<RuntimeValue> arguments);

  const Tensor &tensor(mlir::Value value) const;
  /// Null if the op has no such operand.
  const Tensor *optionalTensor(mlir::Value value) const;
  const Plan &plan(mlir::Value value) const;
  Cache &cache(mlir::Value value) const;
  int64_t index(mlir::Value value) const;

  /// A zero tensor of a result's element type: `rows` times its columns.
  static Tensor makeResult(mlir::Value result, int64_t rows);
  /// Rounds a tensor to its element type and makes it the value of a result.
  void set(mlir::Value result, Tensor tensor);
  void set(mlir::Value result, Plan plan);
  void set(mlir::Value result, RuntimeValue value);
  /// Quantises a weight whose argument has a quantised format.
  void setArgument(mlir::BlockArgument argument, RuntimeValue value);

  const RuntimeValue &get(mlir::Value value) const;
  Interpreter &getMachine() { return machine; }

  /// The weight of that name and type.
  mlir::FailureOr<RuntimeValue> weight(mlir::Operation *op,
                                       llvm::StringRef name, mlir::Type type);
  /// The cache of a layer, made when first asked for.
  std::shared_ptr<Cache> layerCache(int64_t layer, mlir::Type type);
  void record(RoutingRecord record);
  mlir::LogicalResult call(mlir::func::CallOp op);

private:
  mlir::LogicalResult execute(mlir::Operation &op);

  Interpreter &machine;
  mlir::func::FuncOp function;
  std::string path;
  llvm::StringMap<unsigned> callCounts;
  llvm::DenseMap<mlir::Value, RuntimeValue> values;
};

/// Checks a value against a type: element type and known sizes.
mlir::LogicalResult
checkType(const RuntimeValue &value, mlir::Type type,
          llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

} // namespace moec::reference

#endif // MOE_LIB_REFERENCE_FRAME_H
