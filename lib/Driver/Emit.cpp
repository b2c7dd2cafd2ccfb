//===- Emit.cpp - The files that moec writes ------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Compilation.h"

#include "Diagnostics.h"
#include "LayerHeader.h"
#include "Progress.h"
#include "Remarks.h"
#include "moe/Driver/Codegen.h"
#include "moe/Runtime/Payload.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <cstring>
#include <fcntl.h>
#include <unistd.h>

using namespace mlir;
using namespace moec;

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
  if (!config)
    askForTiles(**translated);
  stage("LLVM IR");
  if (emits(Emit::LLVM) || emits(Emit::Assembly))
    if (llvm::Error error = emitListings(**translated, **target))
      return error;
  if (machines.size() > 1)
    makeNamesDistinct(**translated, machine);
  auto code = emitObjectInParallel(**translated, machine);
  if (!code)
    return code.takeError();
  versions.push_back({machine, activation, options.attention,
                      StepSizes::of(module), std::move(parts),
                      std::move(placements), std::move(*code)});
  stage("machine code");
  return checkUndefinedSymbols(objectBytes());
}

PayloadInputs Compilation::payloadInputs() {
  // Directories are often called "model"; what the user chose says more.
  std::string chosen = names.of(Emit::Executable);
  StringRef name = llvm::sys::path::filename(chosen);
  return {versions,   *config,    cacheTypes,    options.weightFormat,
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
                return linkLibrary(machine.isCross() ? kit.cross() : kit,
                                   objects.front(), file,
                                   llvm::sys::path::filename(output));
              });
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
