//===- ErrorBound.h - How far f32 arithmetic may stray ----------*- C++ -*-===//
//
// Part of moe-mlir. Carries, beside the interpreter's values, a first-order
// bound of the error that compiled code makes: every f32 operation may be off
// by half a unit in the last place, a sum over K by K times that, and a
// result is rounded to its element type. Elementary functions are given a few
// units.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PIPELINES_ERRORBOUND_H
#define MOE_TEST_UNIT_PIPELINES_ERRORBOUND_H

#include "moe/Reference/Interpreter.h"

#include "dialects/MoE/IR/MoEDialect.h"

#include <set>

namespace moec::test {

/// Observes an interpreter's run of one function without calls.
class ErrorBound {
public:
  /// Arguments are exact.
  void begin(mlir::func::FuncOp function,
             llvm::ArrayRef<reference::RuntimeValue> arguments);
  void observe(mlir::Operation *op,
               llvm::ArrayRef<reference::RuntimeValue> results);

  /// The bound of a value, element by element.
  const reference::Tensor &errorOf(mlir::Value value) const;
  /// Rows in which rounding may change which experts are chosen.
  const std::set<int64_t> &getAmbiguousRows() const { return ambiguousRows; }

private:
  using Tensor = reference::Tensor;
  struct CacheError {
    std::vector<double> keys, values;
  };

  const Tensor &value(mlir::Value v) const;
  void set(mlir::Value result, Tensor error);
  Tensor zerosLike(mlir::Value v) const;

  void bound(mlir::lm::LinearOp op);
  void bound(mlir::lm::GatedLinearOp op);
  void bound(mlir::lm::EmbeddingOp op);
  void bound(mlir::lm::RMSNormOp op);
  void bound(mlir::lm::LayerNormOp op);
  void bound(mlir::lm::AddOp op);
  void bound(mlir::lm::ActivateOp op);
  void bound(mlir::lm::GatedOp op);
  void bound(mlir::lm::ScaledAddOp op);
  void bound(mlir::lm::LastRowsOp op);
  void bound(mlir::lm::RopeTableOp op);
  void bound(mlir::lm::RopeOp op);
  void bound(mlir::lm::AttentionOp op);
  void bound(mlir::moe::RouterOp op);
  void bound(mlir::moe::DispatchOp op);
  void bound(mlir::moe::GroupedMatmulOp op);
  void bound(mlir::moe::CombineOp op);
  /// Of losses the random graphs make none from rounded numbers.
  void boundExact(mlir::Operation *op);

  void appendToCache(mlir::lm::AttentionOp op, CacheError &errors,
                     const reference::Cache &cache);

  llvm::DenseMap<mlir::Value, reference::RuntimeValue> values;
  llvm::DenseMap<mlir::Value, Tensor> errors;
  /// Caches outlive a call.
  std::map<const reference::Cache *, CacheError> cacheErrors;
  std::set<int64_t> ambiguousRows;
};

} // namespace moec::test

#endif // MOE_TEST_UNIT_PIPELINES_ERRORBOUND_H
