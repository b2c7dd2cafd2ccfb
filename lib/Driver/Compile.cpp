//===- Compile.cpp - What moec does ---------------------------------------===//
//
// Part of moe-mlir. From the input to phase `llvm`; Emit.cpp goes on to files.
//
//===----------------------------------------------------------------------===//

#include "Compilation.h"

#include "Diagnostics.h"
#include "LayerFunctions.h"
#include "LayerPacking.h"
#include "PartRemarks.h"
#include "Progress.h"
#include "Remarks.h"
#include "TokenizerFiles.h"
#include "dialects/LM/IR/WeightFormat.h"
#include "dialects/MoE/Transforms/BufferContext.h"
#include "lib/Kernels/StepParts.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace moec;

std::optional<Emit> moec::parseEmit(StringRef name) {
  return llvm::StringSwitch<std::optional<Emit>>(name)
      .Case("exe", Emit::Executable)
      .Case("lib", Emit::Library)
      .Case("header", Emit::Header)
      .Case("obj", Emit::Object)
      .Case("asm", Emit::Assembly)
      .Case("llvm", Emit::LLVM)
      .Case("mlir", Emit::MLIR)
      .Default(std::nullopt);
}

void Compilation::stage(StringRef name) {
  auto now = std::chrono::steady_clock::now();
  double seconds = std::chrono::duration<double>(now - last).count();
  last = now;
  if (options.timing)
    llvm::errs() << llvm::formatv("{0,8:f3} s  {1}\n", seconds, name);
}

/// Where products widen to f32 anyway, rounding activations to 16 bits would
/// cost accuracy and gain nothing; pairs of bf16 need them rounded.
static ::moe::ElementType activationType(::moe::ElementType weights,
                                         const kernels::Target &target) {
  bool rounds = weights == ::moe::ElementType::BF16 && target.roundsRows();
  return rounds ? weights : ::moe::ElementType::F32;
}

/// Rounding what attention multiplies gains nothing where that is widened.
llvm::Error Compilation::checkAttention() {
  if (options.attention == ::moe::ElementType::F32)
    return llvm::Error::success();
  for (const MachineDescription &each : machines)
    if (config->weightType != options.attention ||
        each.kernels.recipe != kernels::Recipe::DotPairs)
      return makeError(
          "--attention=bf16: expected bf16 weights and a target "
          "with the recipe bf16-dot-pairs, found " +
          StringRef(::moe::elementName(config->weightType)).lower() + " on " +
          each.cpuName());
  return llvm::Error::success();
}

/// A CPU is asked for matrix tiles only where products take them.
static void dropUnusedTiles(MachineDescription &machine, bool hasPairs,
                            bool hasQuads) {
  const kernels::Target &target = machine.kernels;
  hasPairs &= target.recipe == kernels::Recipe::TilePairs;
  hasQuads &= target.tileQuads && !target.floatActivations;
  llvm::erase_if(machine.required, [&](llvm::StringRef name) {
    return (name == "amx-bf16" && !hasPairs) ||
           (name == "amx-int8" && !hasQuads) ||
           (name == "amx-tile" && !hasPairs && !hasQuads);
  });
}

llvm::Error Compilation::readModel() {
  if (options.activations && !options.weightFormat)
    return makeError("--act: expected --quant=FORMAT beside it; products with "
                     "weights as floats read rows as floats");
  for (MachineDescription &each : machines)
    each.kernels.floatActivations = options.activations == lm::Format::F32;
  directory = options.input;
  if (!llvm::sys::fs::is_directory(directory))
    directory = llvm::sys::path::parent_path(directory).str();
  llvm::Expected<::moe::ModelConfig> read =
      ::moe::readModelConfig(options.input);
  if (!read)
    return read.takeError();
  config = std::move(*read);
  bool hasPairs =
      config->weightType == ::moe::ElementType::BF16 && !options.weightFormat;
  bool hasGroups = options.weightFormat &&
                   !lm::QuantisedLayout::of(*options.weightFormat).spansRow();
  for (MachineDescription &each : machines)
    dropUnusedTiles(each, hasPairs, hasGroups);
  for (const std::string &field : config->unreadFields)
    llvm::errs() << "moec: remark: config.json: field '" << field
                 << "' is not read\n";
  if (options.randomSeed) {
    weights = ::moe::randomWeights(*config, *options.randomSeed);
  } else {
    llvm::Expected<::moe::Checkpoint> checkpoint =
        ::moe::Checkpoint::open(directory);
    if (!checkpoint)
      return checkpoint.takeError();
    auto mapped = ::moe::mapWeights(*config, std::move(*checkpoint));
    if (!mapped)
      return mapped.takeError();
    weights = std::move(*mapped);
  }
  auto tokenizer = readTokenizerFiles(directory, config->vocab);
  if (!tokenizer)
    return tokenizer.takeError();
  files = std::move(*tokenizer);
  if (llvm::Error error = checkAttention())
    return error;
  cacheTypes = options.cacheTypes;
  if (cacheTypes.empty())
    cacheTypes = ::moe::defaultCacheTypes(*config);
  return llvm::Error::success();
}

/// Makes `module` for one of the machines, from the start.
void Compilation::buildFor(const MachineDescription &chosen) {
  machine = chosen;
  if (config) {
    // Rows are quantised from f32: rounding them before would gain nothing.
    activation = options.weightFormat
                     ? ::moe::ElementType::F32
                     : activationType(config->weightType, machine.kernels);
    ::moe::StepTypes types{activation, options.attention, cacheTypes,
                           options.weightFormat};
    model = ::moe::buildModel(context, *config, types);
    module = *model;
  }
  machine.kernels.setOn(module);
  reached = Phase::Import;
}

llvm::Error Compilation::importGraph() {
  if (!options.cacheTypes.empty())
    return makeError("--kv: a graph says itself what its caches hold "
                     "(!lm.state); expected a model");
  if (options.attention != ::moe::ElementType::F32)
    return makeError("--attention: a graph says itself what it multiplies (the "
                     "type of q); expected a model");
  if (options.activations)
    return makeError("--act: a graph says itself how rows enter products with "
                     "quantised weights (lm.activations); expected a model");
  if (options.randomSeed)
    return makeError("--weights=random: a graph gets its weights when it is "
                     "called; expected a model");
  if (options.weightFormat)
    return makeError("--quant: a graph says itself which weights are quantised "
                     "(lm.format); expected a model");
  llvm::Expected<GraphFile> read = readGraph(context, options.input);
  if (!read)
    return read.takeError();
  graph = std::move(*read);
  module = *graph.module;
  for (MachineDescription &each : machines)
    each.kernels.floatActivations = lm::hasFloatActivations(module);
  return llvm::Error::success();
}

llvm::Error Compilation::import() {
  bool isGraph = StringRef(options.input).ends_with(".mlir");
  if (llvm::Error error = isGraph ? importGraph() : readModel())
    return error;
  buildFor(machines.front());
  return llvm::Error::success();
}

llvm::Error Compilation::lower(Phase phase) {
  ErrorCollector errors(context);
  PassManager pm(&context);
  pm.enableVerifier(false);
  for (Phase next : getPhases())
    if (next > reached && next <= phase)
      addPhase(pm, next);
  reached = phase;
  if (succeeded(pm.run(module)))
    return llvm::Error::success();
  return errors.take(options.input + ": cannot be compiled");
}

/// To the phase in which every op that becomes a kernel stands alone.
llvm::Error Compilation::lowerToBuffers() {
  if (options.remarks) {
    if (llvm::Error error = lower(Phase::Fused))
      return error;
    remarkOnFusion(module);
  }
  if (llvm::Error error = lower(Phase::Buffers))
    return error;
  parts = kernels::describeStep(module);
  if (options.remarks)
    remarkOnParts(module, {options.readRate, options.peak});
  return llvm::Error::success();
}

/// Lowers a module whose public functions become C functions.
llvm::Error Compilation::lowerLayers() {
  llvm::Expected<LayerSignatures> collected = collectLayers(graph);
  if (!collected)
    return collected.takeError();
  layers = std::move(*collected);
  if (llvm::Error error = lowerToBuffers())
    return error;
  if (llvm::Error error = lower(Phase::Vector))
    return error;
  for (const LayerSignature &layer : layers)
    for (const LayerValue *weight : layer.weights())
      addPackingFunction(module, {weight->tensor(), weight->packed});
  if (llvm::Error error = lower(Phase::LLVM))
    return error;
  addLayerFunctions(module, layers);
  return llvm::Error::success();
}

/// Bytes of all weights, nearly: packing pads rows to panels, a few percent at
/// most, and norms are small.
static uint64_t weightBytes(const ::moe::ModelConfig &config,
                            std::optional<mlir::lm::Format> format) {
  uint64_t width = config.weightType == ::moe::ElementType::F32 ? 4 : 2;
  uint64_t count = ::moe::countParameters(config).total;
  if (!format)
    return count * width;
  uint64_t kept = config.vocab * config.hidden * 2; // embedding and head
  for (const ::moe::LayerConfig &layer : config.layers)
    kept += layer.sparse ? layer.experts * config.hidden : 0;
  kept = std::min(kept, count);
  auto layout = mlir::lm::QuantisedLayout::of(*format);
  // Columns are padded to whole blocks: here hidden sizes stand for all.
  uint64_t columns = std::max<int64_t>(config.hidden, 1);
  uint64_t rowBytes =
      layout.linesOf(columns) * 64 / mlir::lm::PackedType::kLanes;
  return kept * width + (count - kept) * rowBytes / columns;
}

/// What a user should know before waiting: the machine, and how much it will
/// be. An executable that the disk has no room for is not begun.
llvm::Error Compilation::estimate() {
  std::string line;
  for (const MachineDescription &each : machines)
    line += (line.empty() ? "" : "; ") +
            (config ? "target " + each.cpuName() + ", recipe " +
                          recipesOf(config->weightType, options.weightFormat,
                                    options.attention, each.kernels)
                    : each.describe());
  bool embedded = options.weightsPlace == WeightsPlace::Embedded;
  if (!config || !emits(Emit::Executable)) {
    llvm::errs() << "moec: " << line << "\n";
    return llvm::Error::success();
  }
  uint64_t bytes = weightBytes(*config, options.weightFormat);
  llvm::errs() << "moec: " << line << ", weights about " << showBytes(bytes)
               << (embedded ? "" : " beside the executable") << "\n";
  return checkRoom(names.of(Emit::Executable), bytes);
}

/// Whether the public functions of the graph get C functions. A model's step,
/// printed as a graph and read again, keeps its own interface.
bool Compilation::hasLayers() {
  if (config)
    return false;
  if (emits(Emit::Library) || emits(Emit::Header))
    return true;
  return llvm::none_of(module.getOps<func::FuncOp>(), [](func::FuncOp f) {
    return f->hasAttr(mlir::moe::kStepAttr);
  });
}

/// The runtime that executables are linked with is x86-64's.
llvm::Error Compilation::checkCross() {
  for (const MachineDescription &each : machines)
    if (each.isCross() && emits(Emit::Executable))
      return makeError("--target: executables are made for x86-64 only, not "
                       "for " +
                       each.cpuName() +
                       "; expected --emit=obj, asm, llvm or mlir, or lib and "
                       "header of a .mlir file");
  return llvm::Error::success();
}

llvm::Error Compilation::prepare() {
  llvm::Expected<OutputNames> chosen = OutputNames::choose(options);
  if (!chosen)
    return chosen.takeError();
  names = std::move(*chosen);
  auto described = describeMachines(options.target, options.emulateISA);
  if (!described)
    return described.takeError();
  machines = std::move(*described);
  if (llvm::Error error = checkCross())
    return error;
  DialectRegistry registry;
  registerDialects(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  stage("start");
  return llvm::Error::success();
}

/// From the model or graph to phase `llvm`, for `machine`.
llvm::Error Compilation::lowerToLLVM() {
  if (options.remarks)
    remarkOnMachine(machine, options.target);
  if (hasLayers())
    return lowerLayers();
  if (llvm::Error error = lowerToBuffers())
    return error;
  return lower(Phase::LLVM);
}

/// An object for each machine; the first one's module is in phase `llvm`.
llvm::Error Compilation::compileVersions() {
  for (const MachineDescription &next : machines) {
    if (!versions.empty()) {
      buildFor(next);
      if (llvm::Error error = lowerToLLVM())
        return error;
      stage("phases");
    }
    if (llvm::Error error = emitMachineCode())
      return error;
    if (options.remarks)
      remarkOnCode(module, machine, objectBytes());
  }
  return llvm::Error::success();
}

llvm::Error Compilation::run() {
  if (llvm::Error error = prepare())
    return error;
  if (llvm::Error error = import())
    return error;
  stage("import");
  if (emits(Emit::MLIR)) {
    if (llvm::Error error = lower(options.compileTo))
      return error;
    std::string text;
    llvm::raw_string_ostream(text) << module << "\n";
    if (llvm::Error error = writeText(Emit::MLIR, text))
      return error;
    return keepOutputs();
  }
  if (llvm::Error error = estimate())
    return error;
  if (llvm::Error error = lowerToLLVM())
    return error;
  stage("phases");
  if (llvm::Error error = emitAll())
    return error;
  return keepOutputs();
}

llvm::Error moec::compile(const CompileOptions &options) {
  return Compilation(options).run();
}
