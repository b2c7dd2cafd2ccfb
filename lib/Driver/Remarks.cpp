//===- Remarks.cpp - Which code was made, and why -------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Remarks.h"

#include "CodeVersion.h"

#include "Diagnostics.h"
#include "Progress.h"
#include "dialects/LM/IR/LMDialect.h"
#include "dialects/MoE/IR/MoEDialect.h"
#include "dialects/MoE/Transforms/BufferContext.h"
#include "lib/Kernels/MicroKernel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace moec;

static llvm::raw_ostream &say() { return llvm::errs() << "moec: remark: "; }

static bool isHost(StringRef asked) {
  return asked.empty() || asked == "native";
}

static StringRef byteProducts(const kernels::Target &target) {
  if (target.dotQuads)
    return target.isAArch64() ? "USDOT" : "VPDPBUSD";
  if (target.signedQuads)
    return "SDOT";
  return target.isAArch64()
             ? "SMULL of bytes (int4, int4_min, mxfp4) and halves (others)"
             : "VPMADDUBSW (int4, int4_min, mxfp4) and VPMADDWD (others)";
}

/// "6 rows (f32), 5 (bf16, f16)": of the largest tile, by the weight's format.
static std::string tileRows(ArrayRef<lm::Format> formats,
                            const kernels::Target &target) {
  llvm::MapVector<int64_t, SmallVector<StringRef>> names;
  for (lm::Format format : formats)
    names[kernels::TileFamily::of(format, target).maxRows(target)].push_back(
        lm::stringifyFormat(format));
  std::string text;
  for (const auto &[rows, those] : names) {
    std::string most = std::to_string(rows);
    text += text.empty() ? most + " rows" : ", " + most;
    if (names.size() > 1)
      text += " (" + llvm::join(those, ", ") + ")";
  }
  return text;
}

void moec::remarkOnMachine(const MachineDescription &machine, StringRef asked) {
  const kernels::Target &target = machine.kernels;
  say() << machine.cpuName() << ": "
        << (isHost(asked) ? "this host" : "--target") << ", " << target.lanes
        << " lanes of f32, " << target.registers
        << (target.isAArch64() ? " pairs of" : "")
        << " vector registers, tiles of up to "
        << tileRows({lm::Format::F32, lm::Format::BF16, lm::Format::F16},
                    target)
        << "\n";
  using kernels::Recipe;
  StringRef why = target.emulate ? "--emulate-isa"
                  : target.recipe == Recipe::TilePairs
                      ? "the target has AMX-BF16"
                  : target.recipe == Recipe::DotPairs
                      ? "VDPBF16PS has the rate of a fused multiply-add here"
                  : target.recipe == Recipe::OddPairs ? "the target has BFDOT"
                  : target.isAArch64() ? "the target has no BFDOT"
                  : machine.features.find("+avx512bf16") != std::string::npos
                      ? "VDPBF16PS is slower than widening on this CPU"
                      : "the target has no VDPBF16PS";
  say() << "weights and rows of bf16: recipe " << target.recipeName() << ", "
        << why << "\n";
  say() << "quantised weights: recipe "
        << (target.floatActivations
                ? "widen-f32-fma, activations f32"
                : "group-sums (int8_channel: row-sums), products by " +
                      byteProducts(target).str() +
                      (target.tileQuads ? ", of groups and many rows by TDPBSUD"
                                        : ""))
        << ", tiles of up to "
        << tileRows({lm::Format::Int8, lm::Format::Int4, lm::Format::Int4Min,
                     lm::Format::MXFP4, lm::Format::Int4NL,
                     lm::Format::Int8Channel},
                    target)
        << "\n";
}

//===----------------------------------------------------------------------===//
// Ops that missed a faster form
//===----------------------------------------------------------------------===//

static void missed(Operation *op, StringRef what, const llvm::Twine &why) {
  std::string place = describeLocation(op->getLoc());
  say() << (place.empty() ? "" : place + ": ") << "'"
        << op->getName().getStringRef() << "' " << what << ": " << why << "\n";
}

static std::string whyNoRoute(mlir::moe::RouterOp router) {
  Operation *logits = router->getOperand(0).getDefiningOp();
  if (!isa_and_nonnull<lm::LinearOp>(logits))
    return "its logits are not the result of lm.linear";
  if (!logits->hasOneUse())
    return "its logits have another use";
  for (Operation *user : router->getUsers())
    if (isa<mlir::moe::DispatchOp>(user))
      return "its dispatch drops tokens or has another user";
  return "its ids go to no moe.dispatch";
}

void moec::remarkOnFusion(ModuleOp module) {
  module.walk([&](Operation *op) {
    if (auto router = dyn_cast<mlir::moe::RouterOp>(op))
      missed(op, "stays apart from its projection", whyNoRoute(router));
    else if (isa<mlir::moe::GroupedMatmulOp>(op))
      missed(op, "stays apart from the other product of its experts",
             "the two are not one gated product and the product after it");
    else if (isa<lm::GatedOp>(op))
      missed(op, "stays apart from its product",
             "its operand is not one lm.linear with no other use");
  });
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

namespace {
struct Symbol {
  std::string name;
  uint64_t bytes;
};
} // namespace

static std::vector<Symbol> functionsOf(StringRef object) {
  std::vector<Symbol> result;
  auto file = llvm::object::ObjectFile::createELFObjectFile(
      llvm::MemoryBufferRef(object, "generated object"));
  if (!file) {
    llvm::consumeError(file.takeError());
    return result;
  }
  for (const llvm::object::ELFSymbolRef symbol :
       static_cast<llvm::object::ELFObjectFileBase &>(**file).symbols()) {
    if (symbol.getELFType() != llvm::ELF::STT_FUNC || symbol.getSize() == 0)
      continue;
    if (auto name = symbol.getName())
      result.push_back({name->str(), symbol.getSize()});
    else
      llvm::consumeError(name.takeError());
  }
  llvm::sort(result,
             [](const Symbol &a, const Symbol &b) { return a.name < b.name; });
  return result;
}

static void list(StringRef one, StringRef many, ArrayRef<Symbol> symbols,
                 StringRef prefix) {
  uint64_t bytes = 0;
  std::string names;
  unsigned count = 0;
  for (const Symbol &symbol : symbols) {
    StringRef name = symbol.name;
    if (!name.starts_with(prefix))
      continue;
    bytes += symbol.bytes;
    names += llvm::formatv("{0}{1} {2}", count++ ? ", " : "",
                           name.drop_front(prefix.size()), symbol.bytes);
  }
  say() << count << " " << (count == 1 ? one : many) << ", " << bytes
        << " bytes of code" << (count ? ": " + names : "") << "\n";
}

void moec::remarkOnCode(ModuleOp module, const MachineDescription &machine,
                        StringRef object) {
  std::vector<Symbol> symbols = functionsOf(object);
  list("register tile", "register tiles", symbols, "tile_");
  list("loop over tiles", "loops over tiles", symbols, "tiles_");
  list("kernel", "kernels", symbols, "kernel_");
  if (auto arena =
          module->getAttrOfType<DictionaryAttr>(mlir::moe::kArenaAttr)) {
    auto number = [&](StringRef name) {
      return arena.getAs<IntegerAttr>(name).getInt();
    };
    say() << "arena: " << number("per_token") << " bytes a token, "
          << number("fixed") << " fixed, " << number("per_thread")
          << " of scratch a thread\n";
  }
  auto layout = module->getAttrOfType<DictionaryAttr>(mlir::moe::kLayoutAttr);
  if (!layout)
    return;
  int64_t bytes = layout.getAs<IntegerAttr>("weight_bytes").getInt();
  if (!bytes)
    return;
  ArrayRef<int64_t> state = stateBytesPerPosition(module);
  say() << "packed weights: " << showBytes(bytes)
        << ", KV cache: " << (state.empty() ? 0 : 2 * state.front())
        << " bytes a position of its default type\n";
}
