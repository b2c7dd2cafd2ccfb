//===- RandomCase.h - A random graph, compiled, with its inputs -*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PIPELINES_RANDOMCASE_H
#define MOE_TEST_UNIT_PIPELINES_RANDOMCASE_H

#include "CompiledFunction.h"

#include "mlir/IR/OwningOpRef.h"

#include <set>

namespace moec::test {

/// A machine to compile for, and how it is called in messages.
struct Variant {
  std::string name;
  MachineDescription machine;
};

/// What this host can run: AVX2 and, if it has it, AVX-512; widening products,
/// dot products of pairs, emulated where the instruction is missing, and matrix
/// tiles and AArch64's products of pairs, emulated.
std::vector<Variant> getVariants();

/// The number in an environment variable.
uint64_t numberFrom(const char *variable, uint64_t otherwise);

/// A sequence of calls: KV caches in both worlds.
struct Sequence {
  std::vector<std::shared_ptr<reference::Cache>> caches;
  std::vector<CacheBytes> cacheBytes;
};

/// A graph with weights and rows that its seed makes.
class RandomCase {
public:
  RandomCase(const std::string &text, uint64_t seed, const Variant &variant,
             int64_t rows = 150);

  /// Parses and compiles, with all matrices but those of routers in `format` if
  /// there is one. The variant says how rows enter products with them.
  llvm::Error prepare(std::optional<mlir::lm::Format> format = {});

  /// Makes the weights that `prepare` would quantise, which are f32, the
  /// numbers that they are in that format.
  void useNumbersOf(mlir::lm::Format format) { numbersOf = format; }

  /// All rows of an input or a whole weight, in place of random ones.
  void setArgument(unsigned number, const reference::Tensor &value) {
    weights[number] = reference::makeValue(value);
  }

  /// Arguments of a call for rows first .. last - 1 of the input; an index is
  /// the position, `first`.
  std::vector<reference::RuntimeValue> getArguments(int64_t first, int64_t last,
                                                    Sequence &sequence);
  /// Runs the compiled function on them.
  llvm::Expected<std::vector<reference::Tensor>>
  call(int64_t first, int64_t last, int64_t slots, Sequence &sequence);

  int64_t getSegmentCalls() const { return compiled->getSegmentCalls(); }

  /// Seed, machine and text, to see a failure again.
  std::string describe() const;

  mlir::ModuleOp getModule() const { return *module; }
  mlir::func::FuncOp getFunction() const;

private:
  bool isQuantisable(mlir::BlockArgument argument) const;
  void quantise(mlir::lm::Format format);
  reference::RuntimeValue makeArgument(unsigned number,
                                       mlir::RankedTensorType type,
                                       int64_t first, int64_t last);

  std::string text;
  uint64_t seed;
  const Variant &variant;
  int64_t rows; // of input that there are
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::optional<CompiledFunction> compiled;
  std::optional<mlir::lm::Format> numbersOf;
  std::set<unsigned> rounded; // numbers of such arguments
  std::map<unsigned, reference::RuntimeValue> weights;
};

} // namespace moec::test

#endif // MOE_TEST_UNIT_PIPELINES_RANDOMCASE_H
