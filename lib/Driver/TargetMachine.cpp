//===- TargetMachine.cpp - Which machine code is made for -----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/TargetMachine.h"

#include "Diagnostics.h"
#include "moe/Runtime/Payload.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/AArch64TargetParser.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"

#include <unistd.h>

using namespace moec;

static constexpr llvm::StringLiteral kX86Triple = "x86_64-unknown-linux-gnu";
static constexpr llvm::StringLiteral kAArch64Triple =
    "aarch64-unknown-linux-gnu";

static void initializeBackEnd() {
  static bool done = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    return true;
  }();
  (void)done;
}

/// CPUs on which VDPBF16PS is at least as fast as widening and two fused
/// multiply-adds. On Intel's server cores it runs at a quarter of their rate
/// (Granite Rapids: 110 against 218 GFLOP/s, measured as docs/performance.md
/// says), on Zen 4 and 5 at twice.
static bool hasFastDotPairs(llvm::StringRef cpu) {
  return cpu == "znver4" || cpu == "znver5";
}

/// How weights stream from memory best: Zen's own prefetchers follow two
/// streams from end to end (Zen 4: 95 % of the read bandwidth at T=1, OLMoE's
/// layer); every line fetched into the first-level cache holds a core to 20
/// GB/s, and where products are AVX2's to half of that. So streams of all that
/// has no AVX-512, AMD's older cores and Intel's client ones, are left to its
/// prefetchers; pairs of panels of integers fetch every line into the second
/// level there. Intel's server cores want
/// every line fetched (93 %). Blocks of rows leave time between lines: there
/// the second-level cache takes more of them than the first waits for (T=64: 85
/// against 68 % of the floor).
static void chooseStreams(llvm::StringRef cpu, kernels::Target &target) {
  if (!cpu.starts_with("znver") && target.lanes == 16)
    return;
  target.streamPanels = 2;
  target.prefetchLines = 0;
  target.blockPrefetchLines = 256;
  target.blockPrefetchLevel = 2;
  if (target.lanes == 16)
    return;
  // Measured on Zen 3 only, whose memory answers later: int4 at T=8 70 -> 75 %
  // of the floor. And weights read twice cost more than rows from the
  // third-level cache (f32 at T=512: 62 -> 74 % of the floor).
  target.blockPrefetchLines = 512;
  target.rowBudget = 1 << 20;
}

static void avoid(MachineDescription &machine, llvm::StringRef name) {
  machine.features += (machine.features.empty() ? "-" : ",-") + name.str();
}

/// Features with instructions that LLVM would use and the runtime does not ask
/// a CPU for: code does without them.
static void avoidUnasked(MachineDescription &machine,
                         const llvm::StringMap<bool> &has) {
  for (llvm::StringRef name :
       {"xop",         "fma4",        "tbm",    "lwp",     "sse4a",
        "egpr",        "push2pop2",   "ppx",    "ndd",     "ccmp",
        "nf",          "cf",          "zu",     "avx10.1", "avx10.1-512",
        "avx10.2",     "avx10.2-512", "prfchw", "avxifma", "avxneconvert",
        "avxvnniint8", "avxvnniint16"})
    if (has.lookup(name))
      avoid(machine, name);
}

/// Whether emulation stands in for what a CPU beyond x86-64-v4 has.
static bool isEmulated(llvm::StringRef name) {
  return llvm::StringSwitch<bool>(name)
      .Cases({"avx512ifma", "avx512vbmi", "avx512vbmi2", "avx512vnni"}, true)
      .Cases({"avx512bitalg", "avx512vpopcntdq", "avx512bf16"}, true)
      .Cases({"avx512fp16", "avxvnni", "gfni"}, true)
      .Default(false);
}

/// What the program asks a CPU for. Emulated code does without all that
/// x86-64-v4 has not, so that it runs on other machines than the one it is
/// compiled for.
static void requireFeatures(MachineDescription &machine,
                            const llvm::StringMap<bool> &has) {
  for (llvm::StringRef name : {
#define MOE_CHECKED_FEATURE(NAME) NAME,
#include "moe/Runtime/CheckedFeatures.def"
       }) {
    if (!has.lookup(name))
      continue;
    if (!machine.kernels.emulate || !isEmulated(name))
      machine.required.push_back(name.str());
    else
      avoid(machine, name);
  }
}

/// Matrix tiles: those of bf16 for every product of the weight, since bits must
/// not depend on the number of rows; those of integers are exact. They are a
/// feature of the program's, not of LLVM's code beside it, so what asks for
/// them is the recipe.
static void chooseTiles(MachineDescription &machine,
                        const llvm::StringMap<bool> &has) {
  kernels::Target &target = machine.kernels;
  if (!has.lookup("amx-tile") || target.lanes != 16)
    return;
  if (has.lookup("amx-bf16"))
    target.recipe = kernels::Recipe::TilePairs;
  target.tileQuads = has.lookup("amx-int8") && target.dotQuads;
  if (target.emulate)
    return;
  for (llvm::StringRef name : {"amx-tile", "amx-bf16", "amx-int8"})
    if (has.lookup(name))
      machine.required.push_back(name.str());
}

static llvm::Expected<MachineDescription>
fromX86Features(MachineDescription machine, const llvm::StringMap<bool> &has,
                bool emulateISA) {
  auto feature = [&](llvm::StringRef name) { return has.lookup(name); };
  if (!feature("avx2") || !feature("fma") || !feature("f16c"))
    return makeError("target '" + machine.cpu +
                     "': AVX2, FMA and F16C are required (x86-64-v3 or newer)");
  kernels::Target &target = machine.kernels;
  target.emulate = emulateISA;
  requireFeatures(machine, has);
  if (feature("avx512f") && feature("avx512bw") && feature("avx512vl") &&
      feature("avx512dq")) {
    target.lanes = 16;
    target.registers = 32;
    if (emulateISA || (feature("avx512bf16") && hasFastDotPairs(machine.cpu)))
      target.recipe = kernels::Recipe::DotPairs;
  }
  target.dotQuads =
      emulateISA || feature(target.lanes == 16 ? "avx512vnni" : "avxvnni");
  avoidUnasked(machine, has);
  chooseTiles(machine, has);
  chooseStreams(machine.cpu, target);
  return machine;
}

/// Two registers of 128 bits make a vector of 8 lanes: so tiles are AVX2's,
/// whose 16 registers of 256 bits are 32 of these, and so are all bits. But
/// BFDOT's are its own: it rounds as no instruction of x86 (docs/numerics.md).
static llvm::Expected<MachineDescription>
fromAArch64Features(MachineDescription machine,
                    const llvm::StringMap<bool> &has, bool emulateISA) {
  if (!has.lookup("neon"))
    return makeError("target '" + machine.cpu + "': NEON is required");
  kernels::Target &target = machine.kernels;
  target.architecture = kernels::Architecture::AArch64;
  target.dotQuads = emulateISA || has.lookup("i8mm");
  target.signedQuads = has.lookup("dotprod");
  if (has.lookup("bf16"))
    target.recipe = kernels::Recipe::OddPairs;
  target.emulate = emulateISA;
  return machine;
}

static llvm::Expected<MachineDescription> describeHost(bool emulateISA) {
  MachineDescription machine;
  machine.triple = kX86Triple;
  machine.cpu = llvm::sys::getHostCPUName().str();
  llvm::StringMap<bool> has;
  llvm::SubtargetFeatures features;
  for (auto &feature : llvm::sys::getHostCPUFeatures()) {
    features.AddFeature(feature.first(), feature.second);
    has[feature.first()] = feature.second;
  }
  machine.features = features.getString();
  // Half of the second-level cache for packed rows; without AVX-512 another
  // number (chooseStreams).
  if (long bytes = ::sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0)
    machine.kernels.rowBudget = std::clamp<long>(bytes / 2, 256 << 10, 1 << 20);
  return fromX86Features(std::move(machine), has, emulateISA);
}

static std::unique_ptr<llvm::MCSubtargetInfo>
subtargetOf(llvm::StringRef triple, llvm::StringRef cpu,
            llvm::StringRef features) {
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(llvm::Triple(triple), error);
  assert(target && "both back ends are part of LLVM's library");
  return std::unique_ptr<llvm::MCSubtargetInfo>(
      target->createMCSubtargetInfo(llvm::Triple(triple), cpu, features));
}

static bool isCPUOf(llvm::StringRef triple, llvm::StringRef name) {
  return subtargetOf(triple, "", "")->isCPUStringValid(name);
}

llvm::Expected<MachineDescription> moec::describeMachine(llvm::StringRef name,
                                                         bool emulateISA) {
  initializeBackEnd();
  if (name.empty() || name == "native")
    return describeHost(emulateISA);
  MachineDescription machine;
  const llvm::AArch64::ArchInfo *level = llvm::AArch64::parseArch(name);
  bool isX86 = isCPUOf(kX86Triple, name);
  bool isAArch64 = level || isCPUOf(kAArch64Triple, name);
  if (isX86 && isAArch64)
    return makeError("--target: '" + name +
                     "' is a machine of x86 and of "
                     "AArch64; expected x86-64-v3 or armv8-a");
  if (!isX86 && !isAArch64)
    return makeError("--target: unknown machine '" + name +
                     "'; expected native, x86-64-v3, x86-64-v4, armv8-a or "
                     "the name of a CPU that LLVM knows");
  machine.triple = isX86 ? kX86Triple : kAArch64Triple;
  machine.cpu = level ? "generic" : name.str();
  if (level) {
    machine.level = name.str();
    machine.features = level->ArchFeature.str();
  }
  llvm::StringMap<bool> has;
  for (const llvm::SubtargetFeatureKV &feature :
       subtargetOf(machine.triple, machine.cpu, machine.features)
           ->getEnabledProcessorFeatures())
    has[feature.Key] = true;
  return isX86 ? fromX86Features(std::move(machine), has, emulateISA)
               : fromAArch64Features(std::move(machine), has, emulateISA);
}

llvm::Expected<std::vector<MachineDescription>>
moec::describeMachines(llvm::StringRef names, bool emulateISA) {
  std::vector<MachineDescription> machines;
  llvm::SmallVector<llvm::StringRef> list;
  names.split(list, ',');
  if (list.size() > ::moe::runtime::kMaxVersions)
    return makeError("--target: " + llvm::Twine(list.size()) +
                     " machines; expected at most " +
                     llvm::Twine(::moe::runtime::kMaxVersions));
  for (llvm::StringRef name : list) {
    if (name.empty() && list.size() > 1)
      return makeError("--target: expected names with a comma between, got '" +
                       names + "'");
    auto machine = describeMachine(name, emulateISA);
    if (!machine)
      return machine.takeError();
    // "native" may be the name of a machine beside it.
    for (const MachineDescription &other : machines)
      if (other.cpuName() == machine->cpuName())
        return makeError("--target: " + machine->cpu + " twice in '" + names +
                         "'; expected it once");
    machines.push_back(std::move(*machine));
  }
  return machines;
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
moec::createTargetMachine(const MachineDescription &machine) {
  initializeBackEnd();
  std::string error;
  llvm::Triple triple(machine.triple);
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return makeError(error);
  llvm::TargetOptions options;
  // Fused operations only where the IR says so: bits must not depend on what
  // the back end finds to fuse.
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  // Loaders run what is in .init_array (askForTiles), not .ctors.
  options.UseInitArray = true;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, machine.cpu, machine.features, options, llvm::Reloc::PIC_,
      std::nullopt, llvm::CodeGenOptLevel::Default));
}

std::string MachineDescription::cpuName() const {
  return (level.empty() ? cpu : level) + (kernels.isAArch64()   ? " (NEON)"
                                          : kernels.lanes == 16 ? " (AVX-512)"
                                                                : " (AVX2)");
}

std::string MachineDescription::describe() const {
  return "target " + cpuName() + ", recipe " + kernels.recipeName();
}
