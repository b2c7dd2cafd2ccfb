//===- moec.cpp - The compiler driver -------------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/Compile.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <thread>

namespace cl = llvm::cl;
using moec::Emit;

static cl::OptionCategory category("moec options");
static cl::opt<std::string> input(
    cl::Positional, cl::desc("<Hugging Face directory | config.json | graph.mlir>"),
    cl::cat(category));
static cl::opt<std::string> output("o", cl::desc("Output file"),
                                   cl::value_desc("file"), cl::cat(category));
static cl::list<std::string>
    emit("emit", cl::CommaSeparated, cl::cat(category),
         cl::desc("exe (default), lib, header, obj, asm, llvm, mlir"));
static cl::opt<std::string> compileTo(
    "compile-to", cl::cat(category), cl::value_desc("phase"),
    cl::desc("Print the IR after a phase: import, moe, fused, buffers, tiled, "
             "vector, llvm"));
static cl::opt<std::string>
    target("target", cl::cat(category), cl::init("native"),
           cl::desc("native (default), x86-64-v3, x86-64-v4 or an LLVM CPU"));
static cl::opt<std::string> weights(
    "weights", cl::cat(category),
    cl::desc("random:SEED generates weights; needs only a config.json"));
static cl::opt<bool> emulateISA(
    "emulate-isa", cl::cat(category),
    cl::desc("Generic code in place of special instructions, same numerics"));
static cl::opt<long> chunk("chunk", cl::cat(category), cl::init(512),
                           cl::desc("Most tokens of one step (default 512)"));
static cl::opt<unsigned> jobs("j", cl::cat(category), cl::init(0),
                              cl::desc("Threads for packing weights"));
static cl::opt<bool> remarks("remarks", cl::cat(category),
                             cl::desc("Say which kernels were made and why"));
static cl::opt<bool> timing("time", cl::cat(category),
                            cl::desc("Time of each stage on stderr"));

static int fail(const llvm::Twine &message) {
  llvm::errs() << "moec: error: " << message << "\n";
  return 1;
}

/// Fills the options from the command line, or returns what is wrong.
static std::string readOptions(moec::CompileOptions &options) {
  if (input.empty())
    return "no input; expected a Hugging Face directory, a config.json or a "
           ".mlir file (moec --help)";
  options.input = input;
  options.output = output;
  options.target = target;
  options.emulateISA = emulateISA;
  options.remarks = remarks;
  options.timing = timing;
  options.threads = jobs ? unsigned(jobs)
                         : std::max(1u, std::thread::hardware_concurrency());
  if (chunk < 16 || chunk > 65536 || chunk % 16)
    return "--chunk: expected a multiple of 16 from 16 to 65536";
  options.chunk = chunk;
  if (!weights.empty()) {
    llvm::StringRef text = weights;
    uint64_t seed;
    if (!text.consume_front("random:") || text.getAsInteger(10, seed))
      return "--weights: expected random:SEED, got '" + weights + "'";
    options.randomSeed = seed;
  }
  if (!compileTo.empty()) {
    std::optional<moec::Phase> phase = moec::getPhase(compileTo);
    if (!phase)
      return "--compile-to: unknown phase '" + compileTo +
             "'; expected import, moe, fused, buffers, tiled, vector or llvm";
    options.compileTo = *phase;
    options.emits = {Emit::MLIR};
  }
  for (const std::string &name : emit) {
    std::optional<Emit> kind = moec::parseEmit(name);
    if (!kind)
      return "--emit: unknown kind '" + name +
             "'; expected exe, lib, header, obj, asm, llvm or mlir";
    options.emits.push_back(*kind);
  }
  if (options.emits.empty())
    options.emits = {Emit::Executable};
  if (options.output.empty() && options.emits != std::vector{Emit::MLIR})
    return "no output; expected -o FILE";
  return "";
}

int main(int argc, char **argv) {
  cl::HideUnrelatedOptions(category);
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (!cl::ParseCommandLineOptions(
          argc, argv, "moec: compiles Mixture-of-Experts models\n", &stream)) {
    llvm::StringRef first = llvm::StringRef(message).split('\n').first;
    first.consume_front(llvm::sys::path::filename(argv[0]).str() + ": ");
    return fail(first);
  }
  moec::CompileOptions options;
  options.argv0 = argv[0];
  std::string wrong = readOptions(options);
  if (!wrong.empty())
    return fail(wrong);
  if (llvm::Error error = moec::compile(options))
    return fail(llvm::toString(std::move(error)));
  return 0;
}
