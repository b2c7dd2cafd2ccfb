//===- CompiledFunction.h - A function, compiled and callable ---*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PIPELINES_COMPILEDFUNCTION_H
#define MOE_TEST_UNIT_PIPELINES_COMPILEDFUNCTION_H

#include "PackedBytes.h"
#include "moe/Driver/TargetMachine.h"
#include "moe/Reference/RuntimeValue.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"

#include <map>

namespace moec::test {

/// Bytes of a KV cache, as compiled code keeps them between calls.
struct CacheBytes {
  Bytes bytes;
};

/// How to make a call.
struct CallShape {
  int64_t capacity = 64, extent = 0, slots = 1;
};

/// The only public function of a module, compiled through every phase.
class CompiledFunction {
public:
  /// Compiles a copy of the module.
  static llvm::Expected<CompiledFunction>
  compile(mlir::ModuleOp module, const MachineDescription &machine);

  /// Types of the original arguments, weights as packed.
  llvm::ArrayRef<mlir::Type> getArgumentTypes() const { return arguments; }

  /// Calls it. An argument is a tensor, an index or, for a KV cache, null;
  /// `caches` are the caches in order. Results have `resultRows` rows,
  /// scalars none.
  llvm::Expected<std::vector<reference::Tensor>>
  call(llvm::ArrayRef<reference::RuntimeValue> values,
       llvm::MutableArrayRef<CacheBytes> caches,
       llvm::ArrayRef<int64_t> resultRows, CallShape shape);

  /// How often a slot has taken segments of attention, not whole units.
  int64_t getSegmentCalls() const { return *segmentCalls; }

private:
  std::unique_ptr<llvm::orc::LLJIT> jit;
  llvm::SmallVector<mlir::Type> arguments, results;
  /// Bytes of the arena a token of capacity, fixed, and a slot.
  int64_t perToken = 0, fixed = 0, perSlot = 0;
  void *entry = nullptr;
  const int64_t *segmentCalls = nullptr;
  /// Packed weights by argument, made on the first call.
  std::map<unsigned, Bytes> packed;
};

} // namespace moec::test

#endif // MOE_TEST_UNIT_PIPELINES_COMPILEDFUNCTION_H
