//===- CompiledVsReferenceTest.cpp - Compiled code against the reference --===//
//
// Part of moe-mlir. Random graphs are compiled through every phase, run and
// compared with the interpreter, element by element, within the bound that
// ErrorBound gives. Rows whose choice of experts rounding may change are
// skipped, and counted.
//
// MOE_FIRST_SEED and MOE_SEEDS choose the seeds.
//
//===----------------------------------------------------------------------===//

#include "CompiledFunction.h"
#include "ErrorBound.h"
#include "RandomGraph.h"

#include "moe/Pipelines/Pipelines.h"
#include "moe/Reference/RandomTensor.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/TargetParser/Host.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

using namespace mlir;
using namespace moec;
using namespace moec::reference;
using namespace moec::test;

namespace {

struct Variant {
  std::string name;
  MachineDescription machine;
};

MachineDescription machineOf(StringRef name, int64_t lanes,
                             kernels::Recipe recipe, bool emulate) {
  MachineDescription machine = cantFail(describeMachine(name, false));
  // Small, so that a few dozen rows already are several superblocks.
  machine.kernels.rowBudget = 16 * 1024;
  machine.kernels.lanes = lanes;
  machine.kernels.registers = lanes == 16 ? 32 : 16;
  machine.kernels.recipe = recipe;
  machine.kernels.emulate = emulate;
  return machine;
}

/// What this host can run.
std::vector<Variant> variants() {
  using kernels::Recipe;
  std::vector<Variant> list = {
      {"avx2-widen", machineOf("x86-64-v3", 8, Recipe::WidenFMA, false)},
      {"avx2-dot-emulated", machineOf("x86-64-v3", 8, Recipe::DotPairs, true)}};
  auto features = llvm::sys::getHostCPUFeatures();
  if (features.lookup("avx512f") && features.lookup("avx512vl")) {
    list.push_back(
        {"avx512-widen", machineOf("native", 16, Recipe::WidenFMA, false)});
    bool isNative = features.lookup("avx512bf16");
    list.push_back({isNative ? "avx512-dot" : "avx512-dot-emulated",
                    machineOf("native", 16, Recipe::DotPairs, !isNative)});
  }
  return list;
}

uint64_t numberFrom(const char *variable, uint64_t otherwise) {
  const char *text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Counts over a whole test.
struct Tally {
  int64_t rows = 0, skipped = 0;
};

/// A graph with its weights, in both worlds.
class Comparison {
public:
  Comparison(const std::string &text, uint64_t seed, const Variant &variant)
      : text(text), seed(seed), variant(variant) {
    DialectRegistry registry;
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.disableMultithreading();
    context.loadAllAvailableDialects();
  }

  /// Parses and compiles.
  void prepare();
  /// Calls both with `tokens` new rows and compares.
  void step(int64_t tokens, int64_t slots, Tally &tally);

private:
  std::vector<RuntimeValue> makeArguments(int64_t tokens);
  Tensor makeWeight(unsigned number, RankedTensorType type);
  void compare(const Tensor &expected, const Tensor &actual,
               const Tensor &error, Tally &tally);

  std::string text;
  uint64_t seed;
  const Variant &variant;
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  func::FuncOp function;
  std::optional<CompiledFunction> compiled;
  std::map<unsigned, RuntimeValue> weights;
  std::vector<std::shared_ptr<Cache>> caches;
  std::vector<CacheBytes> cacheBytes;
  ErrorBound bound;
  int64_t position = 0, calls = 0;
};

void Comparison::prepare() {
  module = parseSourceString<ModuleOp>(text, &context);
  ASSERT_TRUE(module);
  llvm::Expected<CompiledFunction> result =
      CompiledFunction::compile(*module, variant.machine);
  ASSERT_TRUE(bool(result)) << llvm::toString(result.takeError());
  compiled.emplace(std::move(*result));
  // The reference runs the same ops as the compiler decomposes to, so that a
  // bound is known for each.
  PassManager pm(&context);
  addPhase(pm, Phase::MoE);
  ASSERT_TRUE(succeeded(pm.run(*module)));
  function = *module->getOps<func::FuncOp>().begin();
}

Tensor Comparison::makeWeight(unsigned number, RankedTensorType type) {
  return makeRandomWeight(seed, "w" + std::to_string(number),
                          *getElement(type.getElementType()),
                          type.getShape());
}

std::vector<RuntimeValue> Comparison::makeArguments(int64_t tokens) {
  std::vector<RuntimeValue> arguments;
  unsigned nextCache = 0;
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes())) {
    if (type.isIndex()) {
      arguments.push_back(position);
    } else if (auto state = dyn_cast<lm::StateType>(type)) {
      if (nextCache == caches.size()) {
        caches.push_back(std::make_shared<Cache>(
            *getElement(state.getElementType()), state.getHeads(),
            state.getHeadDim()));
        cacheBytes.emplace_back();
      }
      arguments.push_back(caches[nextCache++]);
    } else if (auto tensor = cast<RankedTensorType>(type);
               tensor.hasStaticShape()) {
      if (!weights.count(i))
        weights[i] = makeValue(makeWeight(i, tensor));
      arguments.push_back(weights[i]);
    } else {
      SmallVector<int64_t> shape(tensor.getShape());
      shape[0] = tokens;
      arguments.push_back(makeValue(makeRandomTensor(
          seed * 1000 + calls * 10 + i, *getElement(tensor.getElementType()),
          shape)));
    }
  }
  return arguments;
}

void Comparison::compare(const Tensor &expected, const Tensor &actual,
                         const Tensor &error, Tally &tally) {
  for (int64_t t = 0; t < expected.rows(); ++t) {
    ++tally.rows;
    if (bound.getAmbiguousRows().count(t)) {
      ++tally.skipped;
      continue;
    }
    for (int64_t c = 0; c < expected.columns(); ++c) {
      double off = std::abs(expected.at(t, c) - actual.at(t, c));
      ASSERT_TRUE(off <= error.at(t, c))
          << "row " << t << ", column " << c << ": expected "
          << expected.at(t, c) << ", compiled code gives " << actual.at(t, c)
          << ", off by " << off << ", bound " << error.at(t, c);
    }
  }
}

void Comparison::step(int64_t tokens, int64_t slots, Tally &tally) {
  SCOPED_TRACE("T = " + std::to_string(tokens) +
               ", position = " + std::to_string(position) +
               ", slots = " + std::to_string(slots));
  std::vector<RuntimeValue> arguments = makeArguments(tokens);
  ++calls;
  bound.begin(function, arguments);
  InterpreterOptions options;
  options.observer = [&](Operation *op, ArrayRef<RuntimeValue> results,
                         StringRef) { bound.observe(op, results); };
  Interpreter interpreter(*module, options);
  auto expected = interpreter.run(function.getName(), arguments);
  ASSERT_TRUE(succeeded(expected));
  CallShape shape;
  shape.slots = slots;
  shape.extent = caches.empty() ? 0 : 192;
  SmallVector<int64_t> rows(expected->size(), tokens);
  auto actual = compiled->call(arguments, cacheBytes, rows, shape);
  ASSERT_TRUE(bool(actual)) << llvm::toString(actual.takeError());
  auto results = function.getBody().front().getTerminator()->getOperands();
  for (auto [value, e, a] : llvm::zip(results, *expected, *actual))
    compare(*getTensor(e), a, bound.errorOf(value), tally);
  position += tokens;
}

/// Prints what is needed to see a failure again.
std::string describe(uint64_t seed, const Variant &variant,
                     const std::string &text) {
  return "seed " + std::to_string(seed) + ", " + variant.name + "\n" + text;
}

TEST(CompiledVsReference, Layers) {
  std::vector<Variant> list = variants();
  uint64_t first = numberFrom("MOE_FIRST_SEED", 1);
  Tally tally;
  for (uint64_t seed = first; seed < first + numberFrom("MOE_SEEDS", 24);
       ++seed) {
    const Variant &variant = list[seed % list.size()];
    std::string text = makeLayerGraph(seed);
    SCOPED_TRACE(describe(seed, variant, text));
    Comparison comparison(text, seed, variant);
    comparison.prepare();
    if (HasFatalFailure())
      continue;
    for (int64_t tokens : {0, 1, 2, 3, 7, 17, 40})
      comparison.step(tokens, tokens % 2 ? 3 : 1, tally);
  }
  llvm::outs() << "skipped " << tally.skipped << " of " << tally.rows
               << " rows\n";
  EXPECT_LE(tally.skipped * 20, tally.rows) << "too many ambiguous choices";
}

TEST(CompiledVsReference, Blocks) {
  std::vector<Variant> list = variants();
  uint64_t first = numberFrom("MOE_FIRST_SEED", 1);
  Tally tally;
  for (uint64_t seed = first; seed < first + numberFrom("MOE_SEEDS", 12);
       ++seed) {
    const Variant &variant = list[seed % list.size()];
    std::string text = makeBlockGraph(seed);
    SCOPED_TRACE(describe(seed, variant, text));
    Comparison comparison(text, seed, variant);
    comparison.prepare();
    if (HasFatalFailure())
      continue;
    // Chunks over more than two blocks of 64 positions.
    RandomNumbers numbers(seed);
    for (int64_t left = 140; left > 0;) {
      int64_t tokens = std::min(left, numbers.integer(0, 60));
      comparison.step(tokens, tokens % 2 ? 3 : 1, tally);
      left -= tokens;
    }
  }
}

} // namespace
