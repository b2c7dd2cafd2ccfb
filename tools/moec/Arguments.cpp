//===- Arguments.cpp - moec's command line --------------------------------===//
//
// Part of moe-mlir. A table of its own: LLVM's would also take the hundreds of
// options of the libraries that are linked.
//
//===----------------------------------------------------------------------===//

#include "Arguments.h"
#include "dialects/LM/IR/WeightFormat.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <thread>

using namespace moec;
using llvm::StringRef;

static llvm::Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

static llvm::Error readEmit(StringRef text, CompileOptions &options) {
  for (StringRef name : llvm::split(text, ',')) {
    std::optional<Emit> kind = parseEmit(name);
    if (!kind)
      return makeError("--emit: unknown kind '" + name +
                       "'; expected exe, lib, header, obj, asm, llvm or mlir");
    if (!llvm::is_contained(options.emits, *kind))
      options.emits.push_back(*kind);
  }
  return llvm::Error::success();
}

static llvm::Error readPhase(StringRef text, CompileOptions &options) {
  std::optional<Phase> phase = getPhase(text);
  if (!phase)
    return makeError("--compile-to: unknown phase '" + text +
                     "'; expected import, moe, fused, buffers, tiled, vector "
                     "or llvm");
  options.compileTo = *phase;
  if (!llvm::is_contained(options.emits, Emit::MLIR))
    options.emits.push_back(Emit::MLIR);
  return llvm::Error::success();
}

static llvm::Error readWeights(StringRef text, CompileOptions &options) {
  if (text == "external") {
    options.weightsPlace = WeightsPlace::External;
    return llvm::Error::success();
  }
  uint64_t seed;
  StringRef rest = text;
  if (!rest.consume_front("random:") || rest.getAsInteger(10, seed))
    return makeError("--weights: expected external or random:SEED, got '" +
                     text + "'");
  options.randomSeed = seed;
  return llvm::Error::success();
}

static llvm::Error readChunk(StringRef text, CompileOptions &options) {
  if (text.getAsInteger(10, options.chunk) || options.chunk < 16 ||
      options.chunk > 65536 || options.chunk % 16)
    return makeError("--chunk: expected a multiple of 16 from 16 to 65536, "
                     "got '" +
                     text + "'");
  return llvm::Error::success();
}

static llvm::Error readCacheTypes(StringRef text, CompileOptions &options) {
  options.cacheTypes.clear();
  for (StringRef name : llvm::split(text, ',')) {
    std::optional<::moe::CacheType> type = ::moe::parseCacheTypeName(name);
    if (!type)
      return makeError("--kv: expected f32, f16, bf16 or q8_0, got '" + name +
                       "'");
    if (llvm::is_contained(options.cacheTypes, *type))
      return makeError("--kv: " + name + " comes twice");
    options.cacheTypes.push_back(*type);
  }
  return llvm::Error::success();
}

static llvm::Error readAttention(StringRef text, CompileOptions &options) {
  if (text != "f32" && text != "bf16")
    return makeError("--attention: expected f32 or bf16, got '" + text + "'");
  options.attention =
      text == "f32" ? ::moe::ElementType::F32 : ::moe::ElementType::BF16;
  return llvm::Error::success();
}

static llvm::Error readFormat(StringRef text, CompileOptions &options) {
  options.weightFormat = mlir::lm::symbolizeFormat(text);
  if (options.weightFormat && mlir::lm::isQuantised(*options.weightFormat))
    return llvm::Error::success();
  return makeError("--quant: expected int8, int4, int4_min, mxfp4, int4_nl or "
                   "int8_channel, got '" +
                   text + "'");
}

static llvm::Error readActivations(StringRef text, CompileOptions &options) {
  if (text != "f32" && text != "int8")
    return makeError("--act: expected f32 or int8, got '" + text + "'");
  options.activations = mlir::lm::symbolizeFormat(text);
  return llvm::Error::success();
}

static llvm::Error readJobs(StringRef text, CompileOptions &options) {
  if (text.getAsInteger(10, options.threads) || options.threads < 1 ||
      options.threads > 1024)
    return makeError("-j: expected a number of threads from 1 to 1024, got '" +
                     text + "'");
  return llvm::Error::success();
}

static llvm::Error readCeilings(StringRef text, CompileOptions &options) {
  // Times by a rate below the normal numbers would be infinite.
  auto read = [](StringRef text, double &rate) {
    return !text.getAsDouble(rate) && std::isnormal(rate) && rate > 0 &&
           rate < 1e9;
  };
  auto [bytes, flops] = text.split(',');
  if (!read(bytes, options.readRate) || !read(flops, options.peak))
    return makeError("--ceilings: expected GB/s,GFLOP/s, as in 25,300, got '" +
                     text + "'");
  options.readRate *= 1e9;
  options.peak *= 1e9;
  options.remarks = true;
  return llvm::Error::success();
}

static llvm::Error readOutput(StringRef text, CompileOptions &options) {
  options.output = text.str();
  return text.empty() ? makeError("-o: expected the name of a file")
                      : llvm::Error::success();
}

static llvm::Error readTarget(StringRef text, CompileOptions &options) {
  options.target = text.str();
  return text.empty() ? makeError("--target: expected CPU, got ''")
                      : llvm::Error::success();
}

static llvm::Error readFlag(StringRef name, CompileOptions &options) {
  if (name == "--emulate-isa")
    options.emulateISA = true;
  else if (name == "--static")
    options.linkage = Linkage::Static;
  else if (name == "--remarks")
    options.remarks = true;
  else if (name == "--time")
    options.timing = true;
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

namespace {
struct Option {
  llvm::StringLiteral group, name;
  /// Empty for a flag.
  llvm::StringLiteral value;
  llvm::StringLiteral help;
  /// Takes the value, or the name of a flag.
  llvm::Error (*read)(StringRef text, CompileOptions &options);
};
} // namespace

static constexpr Option kOptions[] = {
    {"Output", "-o", "FILE",
     "name of the output; default: named after the input, here", readOutput},
    {"Output", "--emit", "KINDS",
     "exe (default), lib, header, obj, asm, llvm, mlir; several with commas",
     readEmit},
    {"Output", "--compile-to", "PHASE",
     "print the IR after import, moe, fused, buffers, tiled, vector or llvm",
     readPhase},
    {"Output", "--static", "",
     "an executable that needs no shared library, libc included", readFlag},
    {"Code", "--target", "CPU",
     "native (default), x86-64-v3, x86-64-v4, armv8-a or a CPU of either that "
     "LLVM\n                         knows; several with commas: one "
     "executable "
     "chooses when it starts",
     readTarget},
    {"Code", "--emulate-isa", "",
     "generic code that computes as VDPBF16PS does, where AVX-512 is, or as "
     "the\n                         target's AMX does",
     readFlag},
    {"Code", "--chunk", "N",
     "most tokens of one step: a multiple of 16 (default 512)", readChunk},
    {"Code", "--attention", "TYPE",
     "f32 (default) or bf16, which rounds queries and the softmax's weights: "
     "faster\n                         over long contexts, where there are "
     "products of bf16 pairs",
     readAttention},
    {"Code", "--kv", "TYPES",
     "what -ctk and -ctv may choose for the KV cache: f32, f16, bf16, q8_0; "
     "the "
     "first is\n                         the default (default: all, first the "
     "weights' type)",
     readCacheTypes},
    {"Weights", "--weights", "external",
     "write them beside the executable, to FILE.weights", readWeights},
    {"Weights", "--weights", "random:SEED",
     "make them up: only a config.json is needed", readWeights},
    {"Weights", "--quant", "FORMAT",
     "int8, int4, int4_min, mxfp4, int4_nl: of layers' matrices, in groups of "
     "32;\n     "
     "                    int8_channel: with one scale a row",
     readFormat},
    {"Weights", "--act", "TYPE",
     "with --quant: int8 (default) rounds rows and multiplies integers; f32 "
     "rounds\n                         nothing but the weights, and is slower",
     readActivations},
    {"Weights", "-j", "N", "threads that pack weights (default: all)",
     readJobs},
    {"Messages", "--remarks", "",
     "which form each op got, what it costs and missed", readFlag},
    {"Messages", "--ceilings", "READ,PEAK",
     "remarks with times: by memory read at READ GB/s and PEAK GFLOP/s",
     readCeilings},
    {"Messages", "--time", "", "time of each stage", readFlag},
    {"Messages", "--help", "", "this text", readFlag},
    {"Messages", "--version", "", "version and back end", readFlag},
};

std::string moec::helpText() {
  std::string text = R"(moec compiles sparse Mixture-of-Experts models.

usage: moec MODEL [-o FILE] [options]                 an executable
       moec GRAPH.mlir --emit=lib,header [-o FILE]    a library for C

MODEL is a Hugging Face directory (config.json, *.safetensors, tokenizer) or
its config.json; GRAPH.mlir holds functions in the moe and lm dialects.
)";
  StringRef group;
  for (const Option &option : kOptions) {
    if (option.group != group) {
      group = option.group;
      text += ("\n" + group + ":\n").str();
    }
    std::string name = option.name.str();
    if (!option.value.empty())
      name += (option.name.starts_with("--") ? "=" : " ") + option.value.str();
    text += llvm::formatv("  {0,-22} {1}\n", name, option.help);
  }
  return text;
}

static llvm::Error unknownOption(StringRef name) {
  StringRef nearest;
  unsigned best = 3; // farther away is no suggestion
  for (const Option &option : kOptions) {
    unsigned distance = name.ltrim('-').edit_distance(
        option.name.ltrim('-'), /*AllowReplacements=*/true, best);
    if (distance < best && option.name.size() > 2) {
      best = distance;
      nearest = option.name;
    }
  }
  if (nearest.empty())
    return makeError("unknown option '" + name + "'; moec --help lists them");
  return makeError("unknown option '" + name + "'; did you mean '" + nearest +
                   "'?");
}

static const Option *findOption(StringRef name) {
  for (const Option &option : kOptions)
    if (option.name == name ||
        // A single dash will do.
        (name.size() > 2 && option.name.ltrim('-') == name.drop_front()))
      return &option;
  return nullptr;
}

llvm::Expected<CommandLine>
moec::parseCommandLine(llvm::ArrayRef<const char *> arguments) {
  CommandLine line;
  CompileOptions &options = line.options;
  options.threads = std::max(1u, std::thread::hardware_concurrency());
  options.argv0 = arguments.front();
  bool onlyInputs = false, hasInput = false;
  for (size_t i = 1; i < arguments.size(); ++i) {
    StringRef argument = arguments[i];
    if (argument == "--" && !onlyInputs) {
      onlyInputs = true;
      continue;
    }
    if (onlyInputs || !argument.starts_with("-") || argument == "-") {
      if (hasInput)
        return makeError("expected one input, got '" + options.input +
                         "' and '" + argument + "'");
      options.input = argument.str();
      hasInput = true;
      continue;
    }
    if (argument == "-h" || argument == "--help" || argument == "-help") {
      line.action = CommandLine::Help;
      return line;
    }
    if (argument == "--version" || argument == "-version") {
      line.action = CommandLine::Version;
      return line;
    }
    auto [name, value] = argument.split('=');
    bool hasValue = argument.contains('=');
    const Option *option = findOption(name);
    // -oFILE and -j8, as compilers take them.
    if (!option && !name.starts_with("--") && argument.size() > 2 &&
        (argument.starts_with("-o") || argument.starts_with("-j"))) {
      option = findOption(argument.take_front(2));
      value = argument.drop_front(2);
      hasValue = true;
    }
    if (!option)
      return unknownOption(name);
    if (option->value.empty()) {
      if (hasValue)
        return makeError(option->name + ": takes no value, got '" + value +
                         "'");
      value = option->name;
    } else if (!hasValue) {
      if (i + 1 == arguments.size())
        return makeError(option->name + ": expected " + option->value +
                         " after it");
      value = arguments[++i];
    }
    if (llvm::Error error = option->read(value, options))
      return error;
  }
  if (options.input.empty())
    return makeError("no input; expected a Hugging Face directory, a "
                     "config.json or a .mlir file (moec --help)");
  if (options.emits.empty())
    options.emits = {Emit::Executable};
  if (options.emits.size() > 1 && llvm::is_contained(options.emits, Emit::MLIR))
    return makeError("--emit: mlir and --compile-to stand alone; expected no "
                     "other kind beside them");
  if (StringRef(options.target).contains(',') &&
      options.emits != std::vector{Emit::Executable})
    return makeError("--target: several machines need --emit=exe and no other "
                     "kind beside it; expected one machine, got '" +
                     options.target + "'");
  if (options.linkage == Linkage::Static &&
      !llvm::is_contained(options.emits, Emit::Executable))
    return makeError("--static: expected --emit=exe");
  if (options.weightsPlace == WeightsPlace::External &&
      !llvm::is_contained(options.emits, Emit::Executable))
    return makeError("--weights=external: expected --emit=exe");
  return line;
}
