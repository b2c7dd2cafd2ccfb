//===- Compilation.h - One run of the driver --------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_COMPILATION_H
#define MOE_LIB_DRIVER_COMPILATION_H

#include "CodeVersion.h"
#include "GraphFile.h"
#include "LayerSignature.h"
#include "OutputFile.h"
#include "OutputNames.h"
#include "PayloadWriter.h"
#include "moe/Driver/Compile.h"
#include "moe/Driver/Link.h"
#include "moe/Import/ModelBuilder.h"

#include <chrono>

namespace moec {

/// One run of the driver.
class Compilation {
public:
  explicit Compilation(const CompileOptions &options)
      : options(options), context(mlir::MLIRContext::Threading::DISABLED) {}

  llvm::Error run();

private:
  // Compile.cpp
  llvm::Error prepare();
  llvm::Error checkCross();
  llvm::Error import();
  llvm::Error checkAttention();
  llvm::Error readModel();
  llvm::Error importGraph();
  void buildFor(const MachineDescription &chosen);
  llvm::Error lower(Phase phase);
  llvm::Error lowerToBuffers();
  llvm::Error lowerLayers();
  llvm::Error lowerToLLVM();
  llvm::Error compileVersions();
  llvm::Error estimate();
  bool hasLayers();
  void stage(llvm::StringRef name);

  // Emit.cpp
  llvm::Error emitAll();
  llvm::Error emitListings(llvm::Module &translated,
                           llvm::TargetMachine &target);
  llvm::Error emitMachineCode();
  llvm::Error
  link(llvm::StringRef output, llvm::ArrayRef<llvm::StringRef> objects,
       llvm::function_ref<llvm::Error(
           const LinkKit &, llvm::ArrayRef<std::string>, llvm::StringRef)>
           linker);
  llvm::Error emitExecutable();
  llvm::Error emitLibrary();
  llvm::Error writeWeights(OutputFile &executable);
  llvm::Error writeText(Emit emit, llvm::StringRef text);
  OutputFile &addOutput(llvm::StringRef path, bool executable);
  llvm::Error keepOutputs();
  PayloadInputs payloadInputs();

  bool emits(Emit emit) const {
    return llvm::is_contained(options.emits, emit);
  }
  /// The object of the last version; the only one of a library.
  llvm::StringRef objectBytes() const {
    return bytesOf(versions.back().object);
  }
  static llvm::StringRef bytesOf(const llvm::SmallVector<char, 0> &object) {
    return {object.data(), object.size()};
  }

  const CompileOptions &options;
  mlir::MLIRContext context;
  std::vector<MachineDescription> machines;
  /// The one whose code is being made.
  MachineDescription machine;
  std::optional<::moe::ModelConfig> config;
  std::unique_ptr<::moe::WeightSource> weights;
  ::moe::ElementType activation = ::moe::ElementType::F32;
  std::vector<::moe::CacheType> cacheTypes;
  std::string directory;
  std::vector<PayloadFile> files;
  /// Owned by `model` or `graph`.
  mlir::ModuleOp module;
  mlir::OwningOpRef<mlir::ModuleOp> model;
  GraphFile graph;
  Phase reached = Phase::Import;
  LayerSignatures layers;
  /// Of the model's step, for `machine`.
  ::moe::runtime::StepParts parts;
  OutputNames names;
  std::vector<std::pair<std::unique_ptr<OutputFile>, bool>> outputs;
  std::vector<CodeVersion> versions;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

} // namespace moec

#endif // MOE_LIB_DRIVER_COMPILATION_H
