//===- moe-interpret.cpp - Runs a function by the reference ---------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Arguments.h"
#include "moe/Reference/Interpreter.h"
#include "moe/Reference/Probe.h"
#include "moe/Reference/TensorFile.h"

#include "dialects/MoE/IR/MoEDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace moec::reference;
namespace cl = llvm::cl;

static cl::opt<std::string> inputFile(cl::Positional, cl::Required,
                                      cl::desc("<file.mlir>"));
static cl::opt<std::string> functionName("function", cl::Required,
                                         cl::desc("Function to run"));
static cl::list<std::string>
    argumentTexts("arg", cl::desc("An argument but a KV cache, in order: "
                                  "FILE.npy, random:SEED[:SHAPE[:TYPE]] or an "
                                  "integer"));
static cl::list<std::string>
    stateTexts("state", cl::desc("A KV cache, in order: zero (the default) or "
                                 "FILE.npy"));
static cl::opt<std::string>
    weightSource("weights", cl::desc("random:SEED, or a folder of NAME.npy"));
static cl::opt<std::string>
    probeDirectory("probe", cl::desc("Folder for the result of every op"));
static cl::opt<std::string>
    outPrefix("out", cl::desc("Write results to PREFIX0.npy, PREFIX1.npy, ... "
                              "and KV caches to PREFIXstate0.npy, ..."));

/// Says what is wrong and gives the exit code of failure.
static int fail(const llvm::Twine &message) {
  llvm::errs() << "moe-interpret: " << message << "\n";
  return 1;
}

static llvm::Expected<std::vector<RuntimeValue>>
parseArguments(func::FuncOp function) {
  std::vector<RuntimeValue> values;
  unsigned nextArgument = 0, nextState = 0;
  for (Type type : function.getArgumentTypes()) {
    bool isState = isa<lm::StateType>(type);
    std::string text = "zero";
    if (isState && nextState < stateTexts.size())
      text = stateTexts[nextState++];
    else if (!isState && nextArgument == argumentTexts.size())
      return llvm::createStringError(
          "@" + function.getName() + " needs more than " +
          llvm::Twine(argumentTexts.size()) + " --arg");
    else if (!isState)
      text = argumentTexts[nextArgument++];
    llvm::Expected<RuntimeValue> value = parseArgument(text, type);
    if (!value)
      return value.takeError();
    values.push_back(std::move(*value));
  }
  if (nextArgument < argumentTexts.size() || nextState < stateTexts.size())
    return llvm::createStringError("@" + function.getName() +
                                   " takes fewer --arg or --state");
  return values;
}

/// Prints a type and the values, row by row; of large tensors the type only.
static void print(unsigned number, const RuntimeValue &value) {
  llvm::outs() << "result " << number << ": ";
  const Tensor *tensor = getTensor(value);
  if (!tensor) {
    if (auto *index = std::get_if<int64_t>(&value))
      llvm::outs() << *index;
    llvm::outs() << "\n";
    return;
  }
  llvm::outs() << tensor->getTypeName() << "\n";
  constexpr size_t kMostPrinted = 1024;
  if (tensor->data.size() > kMostPrinted)
    return;
  int64_t columns = tensor->shape.empty() ? 1 : tensor->columns();
  for (size_t i = 0; i < tensor->data.size(); ++i)
    llvm::outs() << llvm::format("%.6g", tensor->data[i])
                 << ((i + 1) % columns ? " " : "\n");
}

static llvm::Error write(ArrayRef<RuntimeValue> results,
                         ArrayRef<RuntimeValue> arguments) {
  for (auto [i, value] : llvm::enumerate(results))
    if (const Tensor *tensor = getTensor(value))
      if (llvm::Error error =
              writeTensor(outPrefix + std::to_string(i) + ".npy", *tensor))
        return error;
  unsigned states = 0;
  for (const RuntimeValue &value : arguments)
    if (auto *cache = std::get_if<std::shared_ptr<Cache>>(&value))
      if (llvm::Error error = writeTensor(
              outPrefix + "state" + std::to_string(states++) + ".npy",
              cacheToTensor(**cache)))
        return error;
  return llvm::Error::success();
}

static InterpreterOptions makeOptions(std::optional<Probe> &probe) {
  InterpreterOptions options;
  if (!weightSource.empty())
    options.weightSource = [](StringRef name, Element element,
                              ArrayRef<int64_t> shape) {
      return makeWeight(weightSource, name, element, shape);
    };
  if (probe)
    options.observer = [&](Operation *op, ArrayRef<RuntimeValue> results,
                           StringRef calls) {
      probe->observe(op, results, calls);
    };
  return options;
}

static int run(ModuleOp module) {
  auto function = module.lookupSymbol<func::FuncOp>(functionName);
  if (!function)
    return fail("no function @" + functionName + " in " + inputFile);
  llvm::Expected<std::vector<RuntimeValue>> arguments =
      parseArguments(function);
  if (!arguments)
    return fail(llvm::toString(arguments.takeError()));
  std::optional<Probe> probe;
  if (!probeDirectory.empty()) {
    llvm::Expected<Probe> created = Probe::create(probeDirectory, module);
    if (!created)
      return fail(llvm::toString(created.takeError()));
    probe = std::move(*created);
  }
  Interpreter interpreter(module, makeOptions(probe));
  auto results = interpreter.run(functionName, *arguments);
  if (probe)
    if (llvm::Error error = probe->finish())
      return fail(llvm::toString(std::move(error)));
  if (failed(results))
    return 1;
  if (outPrefix.empty()) {
    for (auto [i, value] : llvm::enumerate(*results))
      print(i, value);
    return 0;
  }
  if (llvm::Error error = write(*results, *arguments))
    return fail(llvm::toString(std::move(error)));
  return 0;
}

int main(int argc, char **argv) {
  cl::ParseCommandLineOptions(argc, argv,
                              "moe-mlir reference interpreter\n");
  DialectRegistry registry;
  registry.insert<lm::LMDialect, mlir::moe::MoEDialect, arith::ArithDialect,
                  func::FuncDialect, math::MathDialect>();
  MLIRContext context(registry);
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler handler(sources, &context);
  OwningOpRef<ModuleOp> module =
      parseSourceFile<ModuleOp>(inputFile, sources, &context);
  if (!module)
    return 1;
  return run(*module);
}
