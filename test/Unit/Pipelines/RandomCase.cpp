//===- RandomCase.cpp - A random graph, compiled, with its inputs ---------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "RandomCase.h"

#include "dialects/LM/IR/WeightFormat.h"
#include "dialects/MoE/IR/MoEDialect.h"
#include "lib/Reference/Quantise.h"
#include "moe/Pipelines/Pipelines.h"
#include "moe/Reference/RandomTensor.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/TargetParser/Host.h"

#include <cstdlib>

using namespace mlir;
using namespace moec;
using namespace moec::reference;
using namespace moec::test;

static MachineDescription machineOf(StringRef name, int64_t lanes,
                                    kernels::Recipe recipe, bool emulate) {
  MachineDescription machine = cantFail(describeMachine(name, false));
  // Small, so that a few dozen rows already are several superblocks.
  machine.kernels.rowBudget = 16 * 1024;
  machine.kernels.lanes = lanes;
  machine.kernels.registers = lanes == 16 ? 32 : 16;
  machine.kernels.recipe = recipe;
  machine.kernels.dotQuads = emulate;
  machine.kernels.tileQuads = emulate && recipe == kernels::Recipe::TilePairs;
  machine.kernels.emulate = emulate;
  return machine;
}

std::vector<Variant> test::getVariants() {
  using kernels::Recipe;
  std::vector<Variant> list = {
      {"avx2-widen", machineOf("x86-64-v3", 8, Recipe::WidenFMA, false)},
      {"avx2-dot-emulated", machineOf("x86-64-v3", 8, Recipe::DotPairs, true)},
      {"avx2-amx-emulated", machineOf("x86-64-v3", 8, Recipe::TilePairs, true)},
      {"avx2-odd-emulated", machineOf("x86-64-v3", 8, Recipe::OddPairs, true)}};
  auto features = llvm::sys::getHostCPUFeatures();
  if (features.lookup("avx512f") && features.lookup("avx512bw") &&
      features.lookup("avx512vl") && features.lookup("avx512dq")) {
    list.push_back(
        {"avx512-widen", machineOf("native", 16, Recipe::WidenFMA, false)});
    bool isNative = features.lookup("avx512bf16");
    list.push_back({isNative ? "avx512-dot" : "avx512-dot-emulated",
                    machineOf("native", 16, Recipe::DotPairs, !isNative)});
    if (features.lookup("avx512vnni"))
      list.back().machine.kernels.dotQuads = true;
    list.push_back({"avx512-amx-emulated",
                    machineOf("native", 16, Recipe::TilePairs, true)});
  }
  return list;
}

uint64_t test::numberFrom(const char *variable, uint64_t otherwise) {
  const char *text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

RandomCase::RandomCase(const std::string &text, uint64_t seed,
                       const Variant &variant, int64_t rows)
    : text(text), seed(seed), variant(variant), rows(rows),
      context(MLIRContext::Threading::DISABLED) {
  DialectRegistry registry;
  registerDialects(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
}

std::string RandomCase::describe() const {
  return "seed " + std::to_string(seed) + ", " + variant.name + "\n" + text;
}

func::FuncOp RandomCase::getFunction() const {
  return *getModule().getOps<func::FuncOp>().begin();
}

bool RandomCase::isQuantisable(BlockArgument argument) const {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  bool routes = llvm::any_of(argument.getUsers(), [&](Operation *user) {
    auto layer = dyn_cast<mlir::moe::LayerOp>(user);
    return layer && layer.getGate() == argument;
  });
  return type && type.hasStaticShape() && type.getRank() >= 2 && !routes;
}

void RandomCase::quantise(lm::Format format) {
  func::FuncOp function = getFunction();
  for (BlockArgument argument : function.getArguments())
    if (isQuantisable(argument))
      function.setArgAttr(argument.getArgNumber(), lm::kFormatAttr,
                          lm::FormatAttr::get(&context, format));
}

/// The numbers of a weight in a format, as a weight of f32.
static Tensor roundTo(lm::Format format, const Tensor &weight) {
  Tensor result = quantiseWeight(weight, format, /*readsFloats=*/true);
  result.format.reset();
  result.readsFloats = false;
  return result;
}

llvm::Error RandomCase::prepare(std::optional<lm::Format> format) {
  module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return llvm::createStringError("the text does not parse");
  if (format)
    quantise(*format);
  for (BlockArgument argument : getFunction().getArguments())
    if (numbersOf && isQuantisable(argument))
      rounded.insert(argument.getArgNumber());
  if (variant.machine.kernels.floatActivations)
    (*module)->setAttr(lm::kActivationsAttr,
                       lm::FormatAttr::get(&context, lm::Format::F32));
  llvm::Expected<CompiledFunction> result =
      CompiledFunction::compile(*module, variant.machine);
  if (!result)
    return result.takeError();
  compiled.emplace(std::move(*result));
  // The reference runs the ops to which the compiler decomposes a layer, so
  // that a bound is known for each.
  PassManager pm(&context);
  addPhase(pm, Phase::MoE);
  if (failed(pm.run(*module)))
    return llvm::createStringError("phase moe failed");
  return llvm::Error::success();
}

RuntimeValue RandomCase::makeArgument(unsigned number, RankedTensorType type,
                                      int64_t first, int64_t last) {
  Element element = *getElement(type.getElementType());
  RuntimeValue &whole = weights[number];
  bool isWeight = type.hasStaticShape();
  if (!getTensor(whole)) {
    SmallVector<int64_t> shape(type.getShape());
    if (!isWeight)
      shape[0] = rows;
    whole = makeValue(
        isWeight ? makeRandomWeight(seed, "w" + std::to_string(number), element,
                                    shape)
                 : makeRandomTensor(seed * 100 + number, element, shape));
    if (rounded.contains(number))
      whole = makeValue(roundTo(*numbersOf, *getTensor(whole)));
  }
  if (isWeight)
    return whole;
  const Tensor &all = *getTensor(whole);
  int64_t width = all.data.size() / rows;
  SmallVector<int64_t> shape(all.shape.begin(), all.shape.end());
  shape[0] = last - first;
  return makeValue(Tensor(
      element, shape,
      {all.data.begin() + first * width, all.data.begin() + last * width}));
}

std::vector<RuntimeValue> RandomCase::getArguments(int64_t first, int64_t last,
                                                   Sequence &sequence) {
  assert(last <= rows && "not so many rows");
  std::vector<RuntimeValue> arguments;
  unsigned nextCache = 0;
  for (auto [i, type] : llvm::enumerate(getFunction().getArgumentTypes())) {
    if (type.isIndex()) {
      arguments.push_back(first);
    } else if (auto state = dyn_cast<lm::StateType>(type)) {
      if (nextCache == sequence.caches.size()) {
        sequence.caches.push_back(std::make_shared<Cache>(state));
        sequence.cacheBytes.emplace_back();
      }
      arguments.push_back(sequence.caches[nextCache++]);
    } else {
      arguments.push_back(
          makeArgument(i, cast<RankedTensorType>(type), first, last));
    }
  }
  return arguments;
}

llvm::Expected<std::vector<Tensor>> RandomCase::call(int64_t first,
                                                     int64_t last,
                                                     int64_t slots,
                                                     Sequence &sequence) {
  std::vector<RuntimeValue> arguments = getArguments(first, last, sequence);
  CallShape shape;
  shape.capacity = llvm::alignTo(std::max<int64_t>(last - first, 1), 16);
  shape.extent = sequence.caches.empty() ? 0 : llvm::alignTo(rows, 64);
  shape.slots = slots;
  SmallVector<int64_t> counts;
  Operation *terminator = getFunction().getBody().front().getTerminator();
  for (Value result : terminator->getOperands()) {
    counts.push_back(last - first);
    // Products have a row a choice.
    if (auto product = result.getDefiningOp<mlir::moe::GroupedMatmulOp>())
      counts.back() *=
          cast<mlir::moe::PlanType>(product.getPlan().front().getType())
              .getSlots();
  }
  return compiled->call(arguments, sequence.cacheBytes, counts, shape);
}
