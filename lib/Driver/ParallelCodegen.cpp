//===- ParallelCodegen.cpp - Two halves of a module at once ---------------===//
//
// Part of moe-mlir. Compile time is nearly all LLVM's; kernels and register
// tiles are functions of their own that need nothing of each other but to be
// called.
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/Codegen.h"
#include "moe/Driver/Link.h"

#include "Diagnostics.h"
#include "OutputFile.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <array>
#include <future>
#include <optional>

using namespace moec;
using Object = llvm::SmallVector<char, 0>;

/// Functions that one half compiles; the other half only calls them.
using Names = llvm::StringSet<>;

/// Halves of about one size. Only kernels and tiles move: they are called and
/// not inlined, and use no private data.
static std::array<Names, 2> cutInHalves(const llvm::Module &module) {
  std::vector<const llvm::Function *> movable;
  std::array<Names, 2> halves;
  std::array<size_t, 2> sizes = {0, 0};
  for (const llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    if (function.hasFnAttribute(llvm::Attribute::NoInline)) {
      movable.push_back(&function);
      continue;
    }
    halves[0].insert(function.getName());
    sizes[0] += function.getInstructionCount();
  }
  llvm::stable_sort(movable, [](const auto *a, const auto *b) {
    return a->getInstructionCount() > b->getInstructionCount();
  });
  for (const llvm::Function *function : movable) {
    int half = sizes[1] < sizes[0];
    halves[half].insert(function->getName());
    sizes[half] += function->getInstructionCount();
  }
  return halves;
}

/// Leaves the bodies of the named functions. Internal functions become hidden
/// ones, which the other half can call and nobody else.
static void keepOnly(llvm::Module &module, const Names &names) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    if (function.hasLocalLinkage()) {
      function.setLinkage(llvm::GlobalValue::ExternalLinkage);
      function.setVisibility(llvm::GlobalValue::HiddenVisibility);
    }
    if (!names.contains(function.getName()))
      function.deleteBody();
  }
}

static llvm::Expected<Object> compileHalf(llvm::Module &module,
                                          const MachineDescription &machine,
                                          const Names &names) {
  auto target = createTargetMachine(machine);
  if (!target)
    return target.takeError();
  keepOnly(module, names);
  optimize(module, **target);
  return emitMachineCode(module, **target, llvm::CodeGenFileType::ObjectFile);
}

namespace {
/// The name of a temporary file, which goes with it or with the process.
struct TemporaryFile {
  llvm::SmallString<128> path;

  TemporaryFile() = default;
  TemporaryFile(const TemporaryFile &) = delete;
  ~TemporaryFile() {
    if (path.empty())
      return;
    llvm::sys::fs::remove(path);
    llvm::sys::DontRemoveFileOnSignal(path);
  }
  llvm::Error write(const Object &object);
};
} // namespace

llvm::Error TemporaryFile::write(const Object &object) {
  int fd;
  if (std::error_code code =
          llvm::sys::fs::createTemporaryFile("moec", "o", fd, path)) {
    llvm::SmallString<128> folder;
    llvm::sys::path::system_temp_directory(/*erasedOnReboot=*/true, folder);
    return makeError(folder + ": no temporary file can be made there: " +
                     code.message() + "; TMPDIR names another place");
  }
  removeOnSignal(path);
  llvm::raw_fd_ostream stream(fd, /*shouldClose=*/true);
  stream << llvm::StringRef(object.data(), object.size());
  stream.close();
  if (std::error_code code = stream.error()) {
    stream.clear_error();
    return makeError(path + ": temporary file cannot be written: " +
                     code.message() + "; TMPDIR names another place");
  }
  return llvm::Error::success();
}

static llvm::Expected<Object> merge(const Object &first, const Object &second) {
  TemporaryFile files[3];
  const Object empty;
  const Object *contents[3] = {&first, &second, &empty};
  for (int i : {0, 1, 2})
    if (llvm::Error error = files[i].write(*contents[i]))
      return error;
  llvm::StringRef merged = files[2].path;
  if (llvm::Error error =
          linkRelocatable({files[0].path, files[1].path}, merged))
    return error;
  auto buffer = llvm::MemoryBuffer::getFile(merged);
  if (!buffer)
    return makeError(merged + ": " + buffer.getError().message());
  llvm::StringRef bytes = (*buffer)->getBuffer();
  return Object(bytes.begin(), bytes.end());
}

llvm::Expected<Object>
moec::emitObjectInParallel(llvm::Module &module,
                           const MachineDescription &machine) {
  // A context belongs to one thread: the other half starts from bitcode.
  Object bitcode;
  llvm::raw_svector_ostream stream(bitcode);
  llvm::WriteBitcodeToFile(module, stream);
  std::array<Names, 2> halves = cutInHalves(module);
  std::optional<llvm::Expected<Object>> other;
  auto compileOther = [&] {
    llvm::LLVMContext context;
    auto copy = llvm::parseBitcodeFile(
        llvm::MemoryBufferRef({bitcode.data(), bitcode.size()}, "half"),
        context);
    if (copy)
      other.emplace(compileHalf(**copy, machine, halves[1]));
    else
      other.emplace(copy.takeError());
  };
  // Where no thread can be had, it runs when it is waited for.
  std::future<void> worker =
      std::async(std::launch::async | std::launch::deferred, compileOther);
  llvm::Expected<Object> rest = compileHalf(module, machine, halves[0]);
  worker.get();
  if (!rest) {
    llvm::consumeError(other->takeError());
    return rest.takeError();
  }
  if (!*other)
    return other->takeError();
  return merge(*rest, **other);
}
