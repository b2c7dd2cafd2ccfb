//===- Compile.cpp - What moec does ---------------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/Compile.h"

#include "LayerHeader.h"
#include "PayloadWriter.h"
#include "moe/Driver/Codegen.h"
#include "moe/Import/ModelBuilder.h"
#include "moe/Runtime/Payload.h"

#include "mlir/Parser/Parser.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mlir;
using namespace moec;

static llvm::Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

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
/// A file that appears under its name only when it is whole.
class OutputFile {
public:
  explicit OutputFile(std::string path)
      : path(std::move(path)), temporary(temporaryName(this->path)) {}
  ~OutputFile() {
    if (!kept)
      llvm::sys::fs::remove(temporary);
  }
  const std::string &name() const { return temporary; }

  /// Flushes to disk and takes the final name.
  llvm::Error keep(bool executable) {
    int fd = ::open(temporary.c_str(), O_RDWR | O_CLOEXEC);
    bool done = fd >= 0 && ::fsync(fd) == 0;
    if (done && executable)
      done = ::fchmod(fd, 0755) == 0;
    if (fd >= 0)
      ::close(fd);
    if (!done || ::rename(temporary.c_str(), path.c_str()) != 0)
      return makeError(path + ": cannot be written: " + std::strerror(errno));
    kept = true;
    return llvm::Error::success();
  }

private:
  static std::string temporaryName(StringRef path) {
    llvm::SmallString<256> name(llvm::sys::path::parent_path(path));
    llvm::sys::path::append(name, "." + llvm::sys::path::filename(path) +
                                      ".moec-" + llvm::Twine(::getpid()));
    return std::string(name);
  }
  std::string path, temporary;
  bool kept = false;
};

/// One run of the driver.
class Compilation {
public:
  explicit Compilation(const CompileOptions &options)
      : options(options), context(MLIRContext::Threading::DISABLED) {}

  llvm::Error run();

private:
  llvm::Error import();
  llvm::Error importModel();
  llvm::Error importGraph();
  llvm::Error lower(Phase last);
  llvm::Error emitMachineCode();
  llvm::Error emitExecutable();
  llvm::Error emitLibrary();
  llvm::Error writeText(StringRef path, StringRef text);
  llvm::Error writeObjectFile(OutputFile &file);
  std::vector<PayloadFile> payloadFiles();
  bool emits(Emit emit) const {
    return llvm::is_contained(options.emits, emit);
  }
  std::string outputFor(Emit emit) const;
  void stage(StringRef name);

  const CompileOptions &options;
  MLIRContext context;
  MachineDescription machine;
  std::optional<::moe::ModelConfig> config;
  std::unique_ptr<::moe::WeightSource> weights;
  ::moe::ElementType activation = ::moe::ElementType::F32;
  std::string directory;
  OwningOpRef<ModuleOp> module;
  LayerSignatures signatures;
  std::vector<WeightPlacement> placements;
  SmallVector<char, 0> object;
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

llvm::Error Compilation::importModel() {
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
  activation = activationType(config->weightType, machine.kernels);
  module = ::moe::buildModel(context, *config, activation);
  return llvm::Error::success();
}

llvm::Error Compilation::importGraph() {
  std::string diagnostics;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (!diagnostics.empty())
      return;
    llvm::raw_string_ostream os(diagnostics);
    os << diagnostic.getLocation() << ": " << diagnostic;
  });
  module = parseSourceFile<ModuleOp>(options.input, &context);
  if (module)
    return llvm::Error::success();
  return makeError(diagnostics.empty() ? options.input + ": cannot be read"
                                       : diagnostics);
}

llvm::Error Compilation::import() {
  if (!llvm::sys::fs::exists(options.input))
    return makeError(options.input + ": no such file or directory; expected a "
                                     "Hugging Face directory, a config.json or "
                                     "a .mlir file");
  bool graph = StringRef(options.input).ends_with(".mlir");
  if (llvm::Error error = graph ? importGraph() : importModel())
    return error;
  machine.kernels.setOn(*module);
  return llvm::Error::success();
}

llvm::Error Compilation::lower(Phase phase) {
  std::string diagnostics;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (!diagnostics.empty() ||
        diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return;
    llvm::raw_string_ostream os(diagnostics);
    if (!isa<UnknownLoc>(diagnostic.getLocation()))
      os << diagnostic.getLocation() << ": ";
    os << diagnostic;
  });
  if (succeeded(runPhases(*module, phase, /*verifyEach=*/false)))
    return llvm::Error::success();
  return makeError(diagnostics);
}

llvm::Error Compilation::writeText(StringRef path, StringRef text) {
  if (path == "-") {
    llvm::outs() << text;
    return llvm::Error::success();
  }
  OutputFile file(path.str());
  {
    std::error_code code;
    llvm::raw_fd_ostream stream(file.name(), code);
    if (code)
      return makeError(path + ": cannot be written: " + code.message());
    stream << text;
  }
  return file.keep(/*executable=*/false);
}

/// Where one of several outputs goes: the given name, with the kind's suffix
/// where there is more than one.
std::string Compilation::outputFor(Emit emit) const {
  if (options.emits.size() == 1 || emit == Emit::Executable)
    return options.output;
  SmallString<256> path(options.output);
  StringRef suffix = emit == Emit::Library    ? "so"
                     : emit == Emit::Header   ? "h"
                     : emit == Emit::Object   ? "o"
                     : emit == Emit::Assembly ? "s"
                     : emit == Emit::LLVM     ? "ll"
                                              : "mlir";
  llvm::sys::path::replace_extension(path, suffix);
  return std::string(path);
}

llvm::Error Compilation::emitMachineCode() {
  auto target = createTargetMachine(machine);
  if (!target)
    return target.takeError();
  llvm::LLVMContext llvmContext;
  auto translated = translateAndOptimize(*module, llvmContext, **target);
  if (!translated)
    return translated.takeError();
  stage("LLVM IR, optimised");
  if (emits(Emit::LLVM)) {
    std::string text;
    llvm::raw_string_ostream(text) << **translated;
    if (llvm::Error error = writeText(outputFor(Emit::LLVM), text))
      return error;
  }
  if (emits(Emit::Assembly)) {
    auto clone = llvm::CloneModule(**translated);
    auto text = moec::emitMachineCode(*clone, **target,
                                      llvm::CodeGenFileType::AssemblyFile);
    if (!text)
      return text.takeError();
    if (llvm::Error error = writeText(outputFor(Emit::Assembly),
                                      StringRef(text->data(), text->size())))
      return error;
  }
  auto code = moec::emitMachineCode(**translated, **target,
                                    llvm::CodeGenFileType::ObjectFile);
  if (!code)
    return code.takeError();
  object = std::move(*code);
  stage("machine code");
  return checkUndefinedSymbols(StringRef(object.data(), object.size()));
}

std::vector<PayloadFile> Compilation::payloadFiles() {
  std::vector<PayloadFile> files;
  for (const char *name : {"tokenizer.json", "tokenizer.model",
                           "tokenizer_config.json", "generation_config.json"}) {
    SmallString<256> path(directory);
    llvm::sys::path::append(path, name);
    if (auto buffer = llvm::MemoryBuffer::getFile(path))
      files.push_back({name, (*buffer)->getBuffer().str()});
  }
  return files;
}

llvm::Error Compilation::writeObjectFile(OutputFile &file) {
  std::error_code code;
  llvm::raw_fd_ostream stream(file.name(), code);
  if (code)
    return makeError(options.output + ": cannot be written: " + code.message());
  stream << StringRef(object.data(), object.size());
  return llvm::Error::success();
}

llvm::Error Compilation::emitExecutable() {
  if (!config)
    return makeError(options.input +
                     ": a .mlir file has no model to run; expected "
                     "--emit=lib,header, obj, asm, llvm or mlir");
  llvm::Expected<LinkKit> kit = LinkKit::find(options.argv0);
  if (!kit)
    return kit.takeError();
  OutputFile objectFile(options.output + ".o");
  if (llvm::Error error = writeObjectFile(objectFile))
    return error;
  OutputFile file(options.output);
  if (llvm::Error error =
          linkExecutable(*kit, objectFile.name(), file.name()))
    return error;
  stage("link");
  SmallString<128> name = llvm::sys::path::filename(
      StringRef(directory).rtrim('/'));
  PayloadInputs inputs{*module, placements, *config, activation, *weights, machine,
                       std::string(name), options.chunk, options.threads,
                       payloadFiles()};
  llvm::Expected<uint64_t> offset =
      appendSection(file.name(), ::moe::runtime::kPayloadSectionName,
                    payloadBytes(inputs));
  if (!offset)
    return offset.takeError();
  int fd = ::open(file.name().c_str(), O_RDWR | O_CLOEXEC);
  llvm::Error error = writePayload(inputs, fd, *offset);
  ::close(fd);
  if (error)
    return error;
  stage("weights");
  return file.keep(/*executable=*/true);
}

llvm::Error Compilation::emitLibrary() {
  llvm::Expected<LinkKit> kit = LinkKit::find(options.argv0);
  if (!kit)
    return kit.takeError();
  OutputFile objectFile(options.output + ".o");
  if (llvm::Error error = writeObjectFile(objectFile))
    return error;
  OutputFile file(outputFor(Emit::Library));
  if (llvm::Error error = linkLibrary(*kit, objectFile.name(), file.name()))
    return error;
  return file.keep(/*executable=*/true);
}

llvm::Error Compilation::run() {
  auto described = describeMachine(options.target, options.emulateISA);
  if (!described)
    return described.takeError();
  machine = std::move(*described);
  DialectRegistry registry;
  registerDialects(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  stage("start");
  if (llvm::Error error = import())
    return error;
  stage("import");
  if (emits(Emit::MLIR)) {
    if (llvm::Error error = lower(options.compileTo))
      return error;
    std::string text;
    llvm::raw_string_ostream(text) << **module << "\n";
    return writeText(options.output.empty() ? "-" : outputFor(Emit::MLIR),
                     text);
  }
  if (emits(Emit::Library) || emits(Emit::Header)) {
    if (llvm::Error error = prepareLayers(*module, signatures))
      return error;
  }
  if (llvm::Error error = lower(Phase::LLVM))
    return error;
  stage("phases");
  placements = takePlacements(*module);
  if (emits(Emit::Header)) {
    if (llvm::Error error =
            writeText(outputFor(Emit::Header),
                      renderHeader(*module, signatures,
                                   llvm::sys::path::stem(options.output))))
      return error;
    if (options.emits.size() == 1)
      return llvm::Error::success();
  }
  if (llvm::Error error = emitMachineCode())
    return error;
  if (emits(Emit::Object)) {
    OutputFile file(outputFor(Emit::Object));
    if (llvm::Error error = writeObjectFile(file))
      return error;
    if (llvm::Error error = file.keep(/*executable=*/false))
      return error;
  }
  if (emits(Emit::Library))
    if (llvm::Error error = emitLibrary())
      return error;
  if (emits(Emit::Executable))
    if (llvm::Error error = emitExecutable())
      return error;
  return llvm::Error::success();
}

llvm::Error moec::compile(const CompileOptions &options) {
  return Compilation(options).run();
}
