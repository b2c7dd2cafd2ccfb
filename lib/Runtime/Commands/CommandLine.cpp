//===- CommandLine.cpp - The command line of emitted executables ----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/CommandLine.h"

#include "../CodeVersions.h"
#include "../HostThreads.h"
#include "../Join.h"
#include "../WeightsPopulation.h"
#include "Commands.h"
#include "FlagCheck.h"
#include "FlagValues.h"
#include "Interrupt.h"
#include "Output.h"
#include "moe/Runtime/Payload.h"

#include <CLI/CLI.hpp>

#include <iostream>
#include <limits>
#include <map>
#include <set>

namespace moe::runtime {

namespace {
using CommandFunction = Result<int> (*)(const CommandContext &);

constexpr int kErrorStatus = 1;
constexpr int kUsageStatus = 2;

/// Adds flags to one command; names follow llama.cpp.
class CommandFlags {
public:
  CommandFlags(CLI::App &command, CommandOptions &options)
      : command(command), options(options) {
    command.add_option("--weights", options.weights,
                       "take the payload from FILE")
        ->type_name("FILE");
    command.add_flag("--verify", options.verify,
                     "compare all sections with their hashes first");
    command.add_option("--isa", options.isa,
                       "run this version of the code; default: the most "
                       "demanding one that this CPU can run; info lists them")
        ->type_name("NAME");
  }

  void prompt() {
    command.add_option("-p,--prompt", options.prompt,
                       "prompt; - reads standard input")
        ->type_name("TEXT");
    command.add_option("-f,--file", options.promptFile, "prompt from a file")
        ->type_name("FILE");
    command.add_flag("--no-special", options.noSpecial,
                     "add no BOS or other special tokens");
  }

  void tokens() {
    command.add_option("--tokens", options.tokens, "token ids")
        ->required()
        ->type_name("1,2,3");
  }

  void context() {
    command.add_option("-c,--ctx-size", options.session.context,
                       "context; 0: min(model, 4096)")
        ->type_name("N")
        ->transform(wholeNumber(0, int64_t(1) << 30));
  }

  void cacheTypes() {
    const std::vector<std::string> types = {"f32", "f16", "bf16", "q8_0"};
    command.add_option("--cache-type-k", options.cacheTypeK,
                       "(-ctk) type of cached keys; info lists those there are")
        ->type_name("TYPE")
        ->check(oneOf(types));
    command.add_option("--cache-type-v", options.cacheTypeV,
                       "(-ctv) type of cached values, likewise")
        ->type_name("TYPE")
        ->check(oneOf(types));
  }

  void evaluation() {
    cacheTypes();
    command.add_option("-t,--threads", options.session.threads,
                       "threads; default: physical cores")
        ->type_name("N")
        ->transform(wholeNumber(1, 1024));
    command.add_option("--chunk", options.session.chunk,
                       "most tokens evaluated at once")
        ->type_name("N")
        ->transform(wholeNumber(1, int64_t(1) << 30));
    command.add_option("--trace-routing", options.traceRouting,
                       "write the chosen experts as safetensors")
        ->type_name("FILE")
        ->check(outputFile());
  }

  void sampling() {
    SamplerOptions &sampler = options.sampler;
    command.add_option("-n,--n-predict", options.count,
                       "tokens to generate; -1: until EOS or the context ends")
        ->capture_default_str()
        ->transform(wholeNumber(-1, int64_t(1) << 40))
        ->type_name("N");
    command.add_option("--temp", sampler.temperature, "0 is greedy")
        ->capture_default_str()
        ->transform(number(0, 1000000))
        ->type_name("T");
    command.add_option("--top-k", sampler.topK, "0 keeps all")
        ->capture_default_str()
        ->transform(wholeNumber(0, int64_t(1) << 40))
        ->type_name("K");
    command.add_option("--top-p", sampler.topP, "1 keeps all")
        ->capture_default_str()
        ->transform(number(0, 1))
        ->type_name("P");
    command.add_option("--min-p", sampler.minP, "0 keeps all")
        ->capture_default_str()
        ->transform(number(0, 1))
        ->type_name("P");
    command.add_option("-s,--seed", options.seed, "-1, the default: random, printed")
        ->type_name("N")
        ->transform(wholeNumber(-1, std::numeric_limits<uint32_t>::max()));
    command.add_flag("--greedy", options.greedy, "same as --temp 0");
    command.add_flag("--ignore-eos", options.ignoreEos,
                     "do not stop at EOS");
    command.add_flag("--no-perf", options.noPerf,
                     "print nothing but the result and errors");
  }

  void bench() {
    cacheTypes();
    auto list = [&](const char *names, std::vector<int64_t> &values,
                    const char *about, int64_t min, int64_t max) {
      command.add_option(names, values, about)
          ->delimiter(',')
          ->type_name("N,...")
          ->transform(wholeNumber(min, max));
    };
    list("-p,--n-prompt", options.benchPrompt, "prompt lengths (512)", 0,
         1 << 30);
    list("-n,--n-gen", options.benchGenerate, "generated tokens (64)", 0,
         1 << 30);
    list("-t,--threads", options.benchThreads, "threads", 1, 1024);
    command.add_option("-r,--repetitions", options.repetitions, "")
        ->capture_default_str()
        ->type_name("N")
        ->transform(wholeNumber(1, 1000000));
    command.add_option("-o,--output", options.format, "md or json")
        ->capture_default_str()
        ->check(oneOf({"md", "json"}));
    command.add_option("--chunk", options.session.chunk,
                       "most tokens evaluated at once")
        ->type_name("N")
        ->transform(wholeNumber(1, int64_t(1) << 30));
    profile();
  }

  void profile() {
    CLI::Option *flag = command.add_flag(
        "--profile", options.profile,
        "say where time goes, by part of the step and by layer, beside what "
        "the machine's ceilings allow");
    auto ceiling = [&](const char *name, std::optional<double> &value,
                       const char *unit, const char *about) {
      command.add_option(name, value, about)
          ->type_name(unit)
          ->transform(number(0, 1000000000))
          ->needs(flag);
    };
    ceiling("--bandwidth", options.bandwidth, "GB/s",
            "a profile's read rate, instead of measuring it; 0: unknown");
    ceiling("--peak", options.peak, "GFLOP/s",
            "a profile's peak, instead of measuring each recipe's; 0: unknown");
  }

  void logitsFile() {
    command.add_option("--out", options.out, "f32 [T,V] as .npy")
        ->required()
        ->type_name("FILE")
        ->check(outputFile());
  }

  void json() { command.add_flag("--json", options.json, "as JSON"); }

private:
  CLI::App &command;
  CommandOptions &options;
};

struct Command {
  CLI::App *app;
  CommandFunction function;
  /// Whether it calls the step function.
  bool evaluates;
};

/// All commands, their flags bound to one options struct.
class CommandTable {
public:
  explicit CommandTable(CommandOptions &options) : options(options) {
    app.require_subcommand(1);
    app.footer("`model -p TEXT` is short for `model run -p TEXT`.");
    CommandFlags run = add("run", "continue a text", runCommand);
    run.prompt();
    run.sampling();
    run.context();
    run.evaluation();
    CommandFlags generate =
        add("generate", "continue a list of token ids", generateCommand);
    generate.tokens();
    generate.sampling();
    generate.context();
    generate.evaluation();
    CommandFlags logits =
        add("logits", "write the logits of every position", logitsCommand);
    logits.tokens();
    logits.logitsFile();
    logits.context();
    logits.evaluation();
    add("tokenize", "print token ids", tokenizeCommand, /*evaluates=*/false)
        .prompt();
    add("bench", "measure speed", benchCommand).bench();
    CommandFlags info =
        add("info", "print the model card", infoCommand, /*evaluates=*/false);
    info.json();
    info.context();
    info.cacheTypes();
  }

  CLI::App app{"A Mixture-of-Experts language model."};

  CLI::App *find(const std::string &name) const {
    auto it = commands.find(name);
    return it == commands.end() ? nullptr : it->second.app;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto &[name, command] : commands)
      all.push_back(name);
    return all;
  }
  const Command &command(const std::string &name) const {
    return commands.at(name);
  }

private:
  CommandFlags add(const char *name, const char *about,
                   CommandFunction function, bool evaluates = true) {
    CLI::App *command = app.add_subcommand(name, about);
    commands[name] = {command, function, evaluates};
    return CommandFlags(*command, options);
  }

  CommandOptions &options;
  std::map<std::string, Command> commands;
};
} // namespace

/// The flags of a command, for messages about unknown ones.
static std::vector<FlagNames> flagsOf(const CLI::App &command) {
  std::vector<FlagNames> flags;
  for (const CLI::Option *option : command.get_options()) {
    FlagNames flag;
    flag.takesValue = option->get_expected_max() > 0;
    for (const std::string &name : option->get_snames())
      flag.names.push_back("-" + name);
    for (const std::string &name : option->get_lnames())
      flag.names.push_back("--" + name);
    flags.push_back(std::move(flag));
  }
  return flags;
}

/// The answer to --version, whatever state the payload is in: a reader asks
/// when something does not fit.
static std::string versionText(const char *argv0) {
  Result<PayloadFile> model = openOwnPayload(argv0);
  return "moe-mlir " MOE_VERSION ", " +
         (model ? "model " + model->payload.model.name
                : "no model: " + model.error().message) +
         "\n";
}

/// `model -p TEXT` and `text | model` mean `model run`.
static std::vector<std::string> withCommand(int argc, char **argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  // What is said of the executable as a whole.
  static const std::set<std::string> general = {"-h", "--help", "--version"};
  bool isGeneral = !arguments.empty() && general.contains(arguments[0]);
  if (!isGeneral && (arguments.empty() || arguments[0].starts_with('-')))
    arguments.insert(arguments.begin(), "run");
  return arguments;
}

/// llama.cpp's -ctk and -ctv, which are no short flags of one letter, spelled
/// out.
static void spellOut(std::vector<std::string> &arguments,
                     std::span<const FlagNames> flags) {
  auto takesValue = [&](const std::string &word) {
    return std::ranges::any_of(flags, [&](const FlagNames &flag) {
      return flag.takesValue && std::ranges::count(flag.names, word);
    });
  };
  for (size_t i = 1; i < arguments.size(); ++i) {
    std::string &word = arguments[i];
    if (word == "-ctk" || word == "-ctv")
      word = word == "-ctk" ? "--cache-type-k" : "--cache-type-v";
    if (takesValue(word))
      ++i;
  }
}

/// The index of a type that a flag names, of those that there is code for.
static Result<size_t> findKVType(std::span<const KVType> types,
                                 const char *flag, const std::string &asked) {
  if (asked.empty())
    return 0;
  std::vector<std::string> all;
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i].name == asked)
      return i;
    all.push_back(types[i].name);
  }
  std::string names = join(all, ",");
  return fail(flag, " ", asked, ": this executable has code for ", names,
              "; moec --kv=", names, ",", asked, " adds it");
}

static Result<KVChoice> chooseKV(const CommandOptions &options,
                                 const StepInfo &step) {
  Result<size_t> keys =
      findKVType(step.kvTypes, "--cache-type-k", options.cacheTypeK);
  if (!keys)
    return passOn(keys);
  Result<size_t> values =
      findKVType(step.kvTypes, "--cache-type-v", options.cacheTypeV);
  if (!values)
    return passOn(values);
  return KVChoice{*keys, *values};
}

static int report(const Error &error, int status) {
  std::cerr << "error: " << error.message << std::endl;
  return status;
}

/// Fills the options. A value means: stop here with that status.
static std::optional<int> parse(CommandTable &table,
                                std::vector<std::string> arguments) {
  const std::string &name = arguments[0];
  CLI::App *command = table.find(name);
  if (!command && !name.starts_with('-')) {
    std::string meant = nearest(name, table.names());
    std::string hint = meant.empty() ? "--help lists them"
                                     : "did you mean '" + meant + "'?";
    return report({"unknown command '" + name + "'; " + hint}, kUsageStatus);
  }
  if (command) {
    spellOut(arguments, flagsOf(*command));
    std::span<const std::string> flags(arguments);
    if (Result<void> known = checkFlags(flags.subspan(1), flagsOf(*command));
        !known)
      return report(known.error(), kUsageStatus);
  }
  try {
    std::ranges::reverse(arguments);
    table.app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp &) {
    Result<bool> written = writeOut((command ? command : &table.app)->help());
    return written ? 0 : report(written.error(), kErrorStatus);
  } catch (const CLI::CallForVersion &version) {
    Result<bool> written = writeOut(version.what());
    return written ? 0 : report(written.error(), kErrorStatus);
  } catch (const CLI::ParseError &error) {
    return report({error.what()}, kUsageStatus);
  }
  return std::nullopt;
}

static Result<int> execute(const Command &command, CommandOptions &options,
                           const char *argv0,
                           std::span<const MoeCodeVersion> versions) {
  Result<PayloadFile> model = options.weights.empty()
                                  ? openOwnPayload(argv0)
                                  : openPayloadFile(options.weights);
  if (!model)
    return passOn(model);
  if (options.verify) {
    if (Result<void> verified = verifySections(model->payload); !verified)
      return passOn(verified);
    if (!options.noPerf)
      std::cerr << "all " << model->payload.sections.size()
                << " sections match their hashes" << std::endl;
  }
  Payload &payload = model->payload;
  if (Result<void> fits = checkTable(payload.versions, versions); !fits)
    return failIn(options.weights.empty() ? argv0 : options.weights, fits);
  Result<size_t> chosen = chooseVersion(payload.versions, options.isa);
  if (!command.evaluates) {
    // The card is there for every CPU, and tokens need no generated code.
    Result<size_t> named = findVersion(payload.versions, options.isa);
    if (!named)
      return passOn(named);
    payload.chosen = chosen.value_or(*named);
  } else if (!chosen) {
    return passOn(chosen);
  } else {
    payload.chosen = *chosen;
  }
  Result<KVChoice> kv = chooseKV(options, payload.step());
  if (!kv)
    return passOn(kv);
  options.session.kv = *kv;
  if (!command.evaluates)
    return command.function({options, *model, nullptr});
  StepFunction step = versions[*chosen].step;
  WeightsPopulation population(
      payload.sections.find(kWeightsSection)->second.bytes, options.noPerf);
  return command.function({options, *model, step, &population});
}

int runCommandLine(int argc, char **argv,
                   std::span<const MoeCodeVersion> versions) {
  installSignalHandlers();
  CommandOptions options;
  CommandTable table(options);
  table.app.name(argc > 0 ? argv[0] : "model");
  table.app.set_version_flag(
      "--version", [&] { return versionText(argc > 0 ? argv[0] : nullptr); },
      "versions of compiler and model");
  std::vector<std::string> arguments = withCommand(argc, argv);
  std::string name = arguments[0];
  if (std::optional<int> status = parse(table, std::move(arguments)))
    return *status;
  if (options.session.threads == 0)
    options.session.threads = defaultThreads();
  Result<int> status = execute(table.command(name), options,
                               argc > 0 ? argv[0] : nullptr, versions);
  return status ? *status : report(status.error(), kErrorStatus);
}

} // namespace moe::runtime
