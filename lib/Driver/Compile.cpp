//===- Compile.cpp - What moec does ---------------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/Compile.h"

#include "CodeVersion.h"
#include "Diagnostics.h"
#include "LayerFunctions.h"
#include "LayerHeader.h"
#include "LayerPacking.h"
#include "OutputFile.h"
#include "OutputNames.h"
#include "PayloadWriter.h"
#include "Progress.h"
#include "Remarks.h"
#include "TokenizerFiles.h"
#include "dialects/LM/IR/WeightFormat.h"
#include "dialects/MoE/Transforms/BufferContext.h"
#include "moe/Driver/Codegen.h"
#include "moe/Import/ModelBuilder.h"
#include "moe/Runtime/Payload.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <fcntl.h>
#include <unistd.h>

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

namespace {
/// One run of the driver.
class Compilation {
public:
  explicit Compilation(const CompileOptions &options)
      : options(options), context(MLIRContext::Threading::DISABLED) {}

  llvm::Error run();

private:
  llvm::Error prepare();
  llvm::Error import();
  llvm::Error readModel();
  llvm::Error importGraph();
  void buildFor(const MachineDescription &chosen);
  llvm::Error lower(Phase phase);
  llvm::Error lowerLayers();
  llvm::Error lowerToLLVM();
  llvm::Error compileVersions();
  llvm::Error estimate();
  llvm::Error emitAll();
  llvm::Error emitListings(llvm::Module &translated,
                           llvm::TargetMachine &target);
  llvm::Error emitMachineCode();
  llvm::Error link(StringRef output, ArrayRef<StringRef> objects,
                   llvm::function_ref<llvm::Error(
                       const LinkKit &, ArrayRef<std::string>, StringRef)>
                       linker);
  llvm::Error emitExecutable();
  llvm::Error emitLibrary();
  llvm::Error writeWeights(OutputFile &executable);
  llvm::Error writeText(Emit emit, StringRef text);
  OutputFile &addOutput(StringRef path, bool executable);
  llvm::Error keepOutputs();
  PayloadInputs payloadInputs();
  bool emits(Emit emit) const {
    return llvm::is_contained(options.emits, emit);
  }
  bool hasLayers();
  /// The object of the last version; the only one of a library.
  StringRef objectBytes() const { return bytesOf(versions.back().object); }
  static StringRef bytesOf(const SmallVector<char, 0> &object) {
    return {object.data(), object.size()};
  }
  void stage(StringRef name);

  const CompileOptions &options;
  MLIRContext context;
  std::vector<MachineDescription> machines;
  /// The one whose code is being made.
  MachineDescription machine;
  std::optional<::moe::ModelConfig> config;
  std::unique_ptr<::moe::WeightSource> weights;
  ::moe::ElementType activation = ::moe::ElementType::F32;
  ::moe::CacheType cacheType = ::moe::CacheType::F32;
  std::string directory;
  std::vector<PayloadFile> files;
  /// Owned by `model` or `graph`.
  ModuleOp module;
  OwningOpRef<ModuleOp> model;
  GraphFile graph;
  Phase reached = Phase::Import;
  LayerSignatures layers;
  OutputNames names;
  std::vector<std::pair<std::unique_ptr<OutputFile>, bool>> outputs;
  std::vector<CodeVersion> versions;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};
} // namespace

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
  bool rounds = weights == ::moe::ElementType::BF16 &&
                target.recipe == kernels::Recipe::DotPairs;
  return rounds ? weights : ::moe::ElementType::F32;
}

llvm::Error Compilation::readModel() {
  directory = options.input;
  if (!llvm::sys::fs::is_directory(directory))
    directory = llvm::sys::path::parent_path(directory).str();
  llvm::Expected<::moe::ModelConfig> read =
      ::moe::readModelConfig(options.input);
  if (!read)
    return read.takeError();
  config = std::move(*read);
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
  cacheType = options.cacheType.value_or(::moe::defaultCacheType(*config));
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
    model = ::moe::buildModel(context, *config, activation, cacheType,
                              options.weightFormat);
    module = *model;
  }
  machine.kernels.setOn(module);
  reached = Phase::Import;
}

llvm::Error Compilation::importGraph() {
  if (options.cacheType)
    return makeError("--kv: a graph says itself what its caches hold "
                     "(!lm.state); expected a model");
  if (options.weightFormat)
    return makeError("--quant: a graph says itself which weights are quantised "
                     "(lm.format); expected a model");
  llvm::Expected<GraphFile> read = readGraph(context, options.input);
  if (!read)
    return read.takeError();
  graph = std::move(*read);
  module = *graph.module;
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

/// Lowers a module whose public functions become C functions.
llvm::Error Compilation::lowerLayers() {
  llvm::Expected<LayerSignatures> collected = collectLayers(graph);
  if (!collected)
    return collected.takeError();
  layers = std::move(*collected);
  if (llvm::Error error = lower(Phase::Fused))
    return error;
  if (options.remarks)
    remarkOnFusion(module);
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

OutputFile &Compilation::addOutput(StringRef path, bool executable) {
  outputs.push_back({std::make_unique<OutputFile>(path), executable});
  return *outputs.back().first;
}

/// The outputs appear together, when nothing can fail any more.
llvm::Error Compilation::keepOutputs() {
  for (auto &[file, executable] : outputs)
    if (llvm::Error error = file->keep(executable))
      return error;
  return llvm::Error::success();
}

llvm::Error Compilation::writeText(Emit emit, StringRef text) {
  std::string path = names.of(emit);
  if (path != "-")
    return addOutput(path, /*executable=*/false).write(text);
  llvm::outs() << text;
  llvm::outs().flush();
  std::error_code code = llvm::outs().error();
  llvm::outs().clear_error();
  if (code)
    return makeError("standard output: cannot be written: " + code.message());
  return llvm::Error::success();
}

/// LLVM IR and assembly, as one module: what a person reads.
llvm::Error Compilation::emitListings(llvm::Module &translated,
                                      llvm::TargetMachine &target) {
  auto copy = llvm::CloneModule(translated);
  optimize(*copy, target);
  if (emits(Emit::LLVM)) {
    std::string text;
    llvm::raw_string_ostream(text) << *copy;
    if (llvm::Error error = writeText(Emit::LLVM, text))
      return error;
  }
  if (!emits(Emit::Assembly))
    return llvm::Error::success();
  auto text = moec::emitMachineCode(*copy, target,
                                    llvm::CodeGenFileType::AssemblyFile);
  if (!text)
    return text.takeError();
  return writeText(Emit::Assembly, StringRef(text->data(), text->size()));
}

llvm::Error Compilation::emitMachineCode() {
  std::vector<WeightPlacement> placements = takePlacements(module);
  auto target = createTargetMachine(machine);
  if (!target)
    return target.takeError();
  llvm::LLVMContext llvmContext;
  auto translated = translate(module, llvmContext, **target);
  if (!translated)
    return translated.takeError();
  stage("LLVM IR");
  if (emits(Emit::LLVM) || emits(Emit::Assembly))
    if (llvm::Error error = emitListings(**translated, **target))
      return error;
  if (machines.size() > 1)
    makeNamesDistinct(**translated, machine);
  auto code = emitObjectInParallel(**translated, machine);
  if (!code)
    return code.takeError();
  versions.push_back({machine, activation, StepSizes::of(module),
                      std::move(placements), std::move(*code)});
  stage("machine code");
  return checkUndefinedSymbols(objectBytes());
}

PayloadInputs Compilation::payloadInputs() {
  // Directories are often called "model"; what the user chose says more.
  std::string chosen = names.of(Emit::Executable);
  StringRef name = llvm::sys::path::filename(chosen);
  return {versions,   *config,    cacheType,     options.weightFormat,
          *weights,   name.str(), options.chunk, options.threads,
          files};
}

/// Writes the payload: into a section of `executable`, or into a file beside.
llvm::Error Compilation::writeWeights(OutputFile &executable) {
  PayloadInputs inputs = payloadInputs();
  uint64_t bytes = payloadBytes(inputs);
  bool embedded = options.weightsPlace == WeightsPlace::Embedded;
  std::string output = names.of(Emit::Executable);
  std::string path = embedded ? output : output + ".weights";
  if (llvm::Error error = checkRoom(path, bytes))
    return error;
  if (embedded) {
    llvm::Expected<uint64_t> offset = appendSection(
        executable.name(), ::moe::runtime::kPayloadSectionName, bytes);
    if (!offset)
      return makeError(path + ": " + llvm::toString(offset.takeError()));
    int fd = ::open(executable.name().c_str(), O_RDWR | O_CLOEXEC);
    llvm::Error error = writePayload(inputs, path, fd, *offset);
    ::close(fd);
    return error;
  }
  OutputFile &file = addOutput(path, /*executable=*/false);
  int fd = ::open(file.name().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0)
    return makeError(path + ": cannot be written: " + std::strerror(errno));
  llvm::Error error = writePayload(inputs, path, fd, 0);
  ::close(fd);
  return error;
}

/// Links objects into an output, by `linker(kit, object files, output file)`.
llvm::Error Compilation::link(
    StringRef output, ArrayRef<StringRef> objects,
    llvm::function_ref<llvm::Error(const LinkKit &, ArrayRef<std::string>,
                                   StringRef)>
        linker) {
  llvm::Expected<LinkKit> kit = LinkKit::find(options.argv0);
  if (!kit)
    return kit.takeError();
  std::vector<std::unique_ptr<OutputFile>> files;
  std::vector<std::string> names;
  for (auto [i, object] : llvm::enumerate(objects)) {
    // Not `output.o`, which --emit=obj may be writing.
    std::string name = llvm::formatv("{0}.link{1}.o", output, i);
    files.push_back(std::make_unique<OutputFile>(name));
    if (llvm::Error error = files.back()->write(object))
      return error;
    names.push_back(files.back()->name());
  }
  OutputFile &file = addOutput(output, /*executable=*/true);
  llvm::Error error = linker(*kit, names, file.name());
  stage("link");
  return error;
}

llvm::Error Compilation::emitExecutable() {
  if (llvm::Error error = checkOneLayout(versions))
    return error;
  for (CodeVersion &version : versions)
    version.layout = layoutHash(payloadInputs(), version);
  auto table = emitVersionTable(versions);
  if (!table)
    return table.takeError();
  SmallVector<StringRef> objects = {bytesOf(*table)};
  for (const CodeVersion &version : versions)
    objects.push_back(bytesOf(version.object));
  auto linker = [&](const LinkKit &kit, ArrayRef<std::string> files,
                    StringRef output) {
    return linkExecutable(kit, files, output, options.linkage);
  };
  if (llvm::Error error = link(names.of(Emit::Executable), objects, linker))
    return error;
  llvm::Error error = writeWeights(*outputs.back().first);
  stage("weights");
  return error;
}

llvm::Error Compilation::emitLibrary() {
  std::string output = names.of(Emit::Library);
  return link(output, {objectBytes()},
              [&](const LinkKit &kit, ArrayRef<std::string> objects,
                  StringRef file) {
                return linkLibrary(kit, objects.front(), file,
                                   llvm::sys::path::filename(output));
              });
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
  uint64_t block = layout.groups * mlir::lm::kGroup * 16;
  return kept * width + (count - kept) * layout.blockLines() * 64 / block;
}

/// What a user should know before waiting: the machine, and how much it will
/// be. An executable that the disk has no room for is not begun.
llvm::Error Compilation::estimate() {
  std::string line;
  for (const MachineDescription &each : machines)
    line += (line.empty() ? "" : "; ") + each.describe();
  bool embedded = options.weightsPlace == WeightsPlace::Embedded;
  if (!config || !emits(Emit::Executable)) {
    llvm::errs() << "moec: " << line << "\n";
    return llvm::Error::success();
  }
  uint64_t bytes = weightBytes(*config, options.weightFormat);
  llvm::errs() << "moec: " << line << ", weights " << showBytes(bytes)
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

llvm::Error Compilation::prepare() {
  llvm::Expected<OutputNames> chosen = OutputNames::choose(options);
  if (!chosen)
    return chosen.takeError();
  names = std::move(*chosen);
  auto described = describeMachines(options.target, options.emulateISA);
  if (!described)
    return described.takeError();
  machines = std::move(*described);
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
  if (llvm::Error error = lower(Phase::Fused))
    return error;
  if (options.remarks)
    remarkOnFusion(module);
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

llvm::Error Compilation::emitAll() {
  if (emits(Emit::Header))
    if (llvm::Error error = writeText(
            Emit::Header,
            renderHeader(layers, names.stem(), machine.cpuName())))
      return error;
  if (options.emits == std::vector{Emit::Header})
    return llvm::Error::success();
  if (llvm::Error error = compileVersions())
    return error;
  if (emits(Emit::Object))
    if (llvm::Error error =
            addOutput(names.of(Emit::Object), /*executable=*/false)
                .write(objectBytes()))
      return error;
  if (emits(Emit::Library))
    if (llvm::Error error = emitLibrary())
      return error;
  if (emits(Emit::Executable))
    return emitExecutable();
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
