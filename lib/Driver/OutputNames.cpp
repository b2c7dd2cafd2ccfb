//===- OutputNames.cpp - What the outputs are called ----------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "OutputNames.h"

#include "Diagnostics.h"
#include "OutputFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace moec;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

static llvm::StringRef suffixOf(Emit emit) {
  switch (emit) {
  case Emit::Executable:
    return "";
  case Emit::Library:
    return ".so";
  case Emit::Header:
    return ".h";
  case Emit::Object:
    return ".o";
  case Emit::Assembly:
    return ".s";
  case Emit::LLVM:
    return ".ll";
  case Emit::MLIR:
    return ".mlir";
  }
}

/// `name` without a suffix that one of the outputs has.
static llvm::StringRef withoutSuffix(llvm::StringRef name) {
  for (llvm::StringRef suffix : {".so", ".h", ".o", ".s", ".ll", ".mlir"})
    if (name.size() > suffix.size() && name.ends_with(suffix))
      return name.drop_back(suffix.size());
  return name;
}

std::string OutputNames::of(Emit emit) const {
  if (base == "-")
    return base;
  if (emit == Emit::Executable || (given && emits.size() == 1))
    return base;
  return (withoutSuffix(base) + suffixOf(emit)).str();
}

std::string OutputNames::stem() const {
  return base == "-" ? "kernels" : withoutSuffix(path::filename(base)).str();
}

/// The name of a model's directory, or of a graph without its suffix.
static std::string nameOf(llvm::StringRef input) {
  llvm::SmallString<256> real;
  if (fs::real_path(input, real))
    real = input;
  if (!fs::is_directory(real) && !real.ends_with(".mlir"))
    path::remove_filename(real);
  llvm::StringRef name = path::filename(real.str().rtrim('/'));
  name.consume_back(".mlir");
  return name.str();
}

static llvm::Error checkInput(const CompileOptions &options) {
  if (!fs::exists(options.input))
    return makeError(options.input + ": no such file or directory; expected a "
                                     "Hugging Face directory, a config.json or "
                                     "a .mlir file");
  bool isGraph = llvm::StringRef(options.input).ends_with(".mlir");
  auto emits = [&](Emit emit) {
    return llvm::is_contained(options.emits, emit);
  };
  if (isGraph && fs::is_directory(options.input))
    return makeError(options.input + ": is a directory; expected a file");
  if (isGraph && emits(Emit::Executable))
    return makeError(options.input +
                     ": a .mlir file has no model to run; expected "
                     "--emit=lib,header, obj, asm, llvm or mlir");
  if (!isGraph && (emits(Emit::Library) || emits(Emit::Header)))
    return makeError(options.input + ": --emit=lib and header take a .mlir "
                                     "file; expected --emit=exe for a model");
  return llvm::Error::success();
}

/// An output must not replace what it is made from.
static llvm::Error checkNotInput(llvm::StringRef output,
                                 const CompileOptions &options) {
  auto refuse = [&](llvm::StringRef input) {
    return makeError(output + ": is the input " + input +
                     "; expected another name for the output");
  };
  std::string directory = options.input;
  if (!fs::is_directory(directory)) {
    if (fs::equivalent(output, options.input))
      return refuse(options.input);
    if (llvm::StringRef(options.input).ends_with(".mlir"))
      return llvm::Error::success();
    directory = path::parent_path(options.input).str();
    if (directory.empty())
      directory = ".";
  }
  std::error_code code;
  for (fs::directory_iterator it(directory, code), end; !code && it != end;
       it.increment(code)) {
    llvm::StringRef extension = path::extension(it->path());
    bool isRead = llvm::is_contained({".json", ".safetensors", ".model"},
                                     extension);
    if (isRead && fs::equivalent(output, it->path()))
      return refuse(it->path());
  }
  return llvm::Error::success();
}

static llvm::Error checkOutput(llvm::StringRef output,
                               const CompileOptions &options) {
  if (llvm::Error error = checkNotInput(output, options))
    return error;
  return checkWritable(output);
}

llvm::Expected<OutputNames> OutputNames::choose(const CompileOptions &options) {
  if (llvm::Error error = checkInput(options))
    return error;
  OutputNames names;
  names.emits = options.emits;
  names.base = options.output;
  names.given = !options.output.empty();
  if (!names.given && options.emits == std::vector{Emit::MLIR})
    names.base = "-";
  if (names.base == "-") {
    if (options.emits.size() == 1 && options.emits[0] != Emit::Executable &&
        options.emits[0] != Emit::Library && options.emits[0] != Emit::Object)
      return names;
    return makeError("-o -: expected the name of a file; only text can go to "
                     "standard output");
  }
  if (!names.given) {
    names.base = nameOf(options.input);
    if (llvm::is_contained(options.emits, Emit::Library))
      names.base = "lib" + names.base;
    if (names.base.empty())
      return makeError(options.input + ": gives the output no name; expected "
                                       "-o FILE");
    std::string first = names.of(options.emits[0]);
    if (fs::is_directory(first))
      return makeError("the output would be called " + first +
                       ", which is a directory; expected -o FILE");
  }
  for (Emit emit : options.emits)
    if (llvm::Error error = checkOutput(names.of(emit), options))
      return error;
  if (options.weightsPlace == WeightsPlace::External)
    if (llvm::Error error =
            checkOutput(names.of(Emit::Executable) + ".weights", options))
      return error;
  return names;
}
