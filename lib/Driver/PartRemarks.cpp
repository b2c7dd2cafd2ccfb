//===- PartRemarks.cpp - What each kernel is, and should cost -------------===//
//
// Part of moe-mlir. Costs are those that a profile measures against:
// docs/profiling.md.
//
//===----------------------------------------------------------------------===//

#include "PartRemarks.h"

#include "Progress.h"
#include "dialects/MoE/Transforms/BufferContext.h"
#include "lib/Kernels/Matmul.h"
#include "lib/Kernels/OpKernels.h"
#include "lib/Kernels/RowDigits.h"
#include "lib/Kernels/StepParts.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <map>

using namespace mlir;
using namespace moec;
using namespace moec::kernels;
using ::moe::runtime::CallShape;
using ::moe::runtime::PartWork;

static llvm::raw_ostream &say() { return llvm::errs() << "moec: remark: "; }

/// "12.3 MFLOP", powers of 1000.
static std::string showFlops(double flops) {
  static constexpr llvm::StringLiteral units[] = {"", "k", "M", "G", "T"};
  size_t unit = 0;
  for (; flops >= 1000 && unit + 1 < std::size(units); ++unit)
    flops /= 1000;
  return llvm::formatv("{0:f1} {1}FLOP", flops, units[unit]);
}

namespace {
/// Work, and the least time that it takes; 0 where that is not known.
struct Cost {
  PartWork work;
  double seconds = 0;

  void add(const Cost &other, int64_t times = 1) {
    work.bytes += other.work.bytes * double(times);
    work.flops += other.work.flops * double(times);
    seconds += other.seconds * double(times);
  }
};
} // namespace

static std::string show(const Cost &cost) {
  std::string text = showBytes(uint64_t(cost.work.bytes)) + " and " +
                     showFlops(cost.work.flops);
  if (cost.seconds > 0)
    text += llvm::formatv(", {0:f3} ms", 1e3 * cost.seconds);
  return text;
}

//===----------------------------------------------------------------------===//
// Forms
//===----------------------------------------------------------------------===//

static std::string formOf(const PackedWeight &weight, Value x,
                          const Target &target) {
  TileFamily family = familyOf(weight, x, target);
  int64_t streams = streamsOf(target, family, 1), most = family.maxRows(target);
  return llvm::formatv("{0} weights{1}, tiles of 1 row ({2}) to {3} rows "
                       "(pairs of panels)",
                       lm::stringifyFormat(weight.format),
                       family.isDequantised() ? ", activations f32" : "",
                       streams > 1 ? std::to_string(streams) + " streams"
                                   : std::string("pairs"),
                       most);
}

static std::string typesOf(lm::StateType cache, const Target &target) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleave(
      cache.getElementTypes(), os,
      [&](Type type) {
        if (lm::StateType::isQuantised(type))
          os << "q8_0" << (multipliesQuads(target) ? " (integers)" : "");
        else
          os << type;
      },
      "|");
  return text;
}

/// What is fused into the op, and which of its forms it has.
static std::string variantOf(Operation *op, const Target &target) {
  std::string text;
  llvm::raw_string_ostream os(text);
  TypeSwitch<Operation *>(op)
      .Case([&](lm::LinearOp linear) {
        os << formOf(PackedWeight::of(linear), linear.getX(), target)
           << (linear.getBias() ? " + bias" : "")
           << (linear.getClip() ? " + clip" : "");
      })
      .Case([&](lm::GatedLinearOp gated) {
        os << formOf(PackedWeight::of(gated), gated.getX(), target) << " + "
           << lm::stringifyActivation(gated.getFunction()) << " gate";
      })
      .Case([&](mlir::moe::GroupedMatmulOp grouped) {
        os << formOf(PackedWeight::of(grouped), grouped.getX(), target)
           << (grouped.getGather() ? " + gather" : "")
           << (grouped.getBias() ? " + bias" : "")
           << (grouped.getRowScale() ? " + row scale" : "");
        if (auto function = grouped.getFunction())
          os << " + " << lm::stringifyActivation(*function) << " gate";
        if (!grouped.getEpilogue().empty())
          os << " + epilogue";
      })
      .Case([&](mlir::moe::RouteOp route) {
        os << formOf(PackedWeight::of(route.getGate()), route.getX(), target)
           << " + choice of " << route.getConfig().getTopK() << " of "
           << route.getExperts();
      })
      .Case([&](lm::AttentionOp attention) {
        lm::StateType cache = attention.getCacheType();
        os << attention.getHeads() << " heads on " << cache.getHeads()
           << ", cache of " << typesOf(cache, target);
        if (attention.getWindow())
          os << ", window " << attention.getWindow();
      });
  return text;
}

//===----------------------------------------------------------------------===//
// What was missed
//===----------------------------------------------------------------------===//

static int64_t columnsOf(Value rows) {
  return cast<MemRefType>(rows.getType()).getDimSize(1);
}

/// A product of one token is one slot's where it is not cut by columns.
static std::string whyOneSlot(Operation *op) {
  auto isShort = [](const PackedWeight &weight) {
    return weight.panels < kColumnCutPanels;
  };
  bool missed = TypeSwitch<Operation *, bool>(op)
                    .Case<lm::LinearOp, lm::GatedLinearOp>([&](auto product) {
                      return isShort(PackedWeight::of(product));
                    })
                    .Default([](Operation *) { return false; });
  if (!missed)
    return {};
  return llvm::formatv(
      "one token's work is one thread's: a weight of fewer than {0} panels of "
      "16 columns, gate's and up's alike, is not cut",
      kColumnCutPanels);
}

/// Columns that a weight has before it is packed into panels; those of a gate
/// and of up lie in panels of their own.
static int64_t weightColumns(lm::LinearOp op) {
  return columnsOf(op.getOuts().front());
}

static int64_t weightColumns(lm::GatedLinearOp op) {
  return 2 * columnsOf(op.getOuts().front());
}

static int64_t weightColumns(mlir::moe::GroupedMatmulOp op) {
  bool hasGate = op.getFunction() || op.getPaired();
  return (hasGate ? 2 : 1) * columnsOf(op.getOuts().front());
}

static std::string whyPadded(Operation *op) {
  auto padded = [](const PackedWeight &weight, int64_t columns) -> std::string {
    int64_t all = weight.panels * 16;
    if (all == columns)
      return {};
    return llvm::formatv("{0} of {1} columns that it reads are padding",
                         all - columns, all);
  };
  return TypeSwitch<Operation *, std::string>(op)
      .Case<lm::LinearOp, lm::GatedLinearOp, mlir::moe::GroupedMatmulOp>(
          [&](auto product) {
            return padded(PackedWeight::of(product), weightColumns(product));
          })
      .Case([&](mlir::moe::RouteOp route) {
        return padded(PackedWeight::of(route.getGate()), route.getExperts());
      })
      .Default([](Operation *) { return std::string(); });
}

/// A sum could be a product's last step; lm.linear has no operand for it.
static std::string whyOwnLoop(Operation *op) {
  auto add = dyn_cast<lm::AddOp>(op);
  if (!add)
    return {};
  for (Operation *user : add.getRhs().getUsers())
    if (auto linear = dyn_cast<lm::LinearOp>(user);
        linear && llvm::is_contained(linear.getOuts(), add.getRhs()))
      return "a loop of its own: the product before it takes no residual";
  return {};
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

namespace {
/// One function's remarks.
class FunctionRemarks {
public:
  FunctionRemarks(func::FuncOp function, std::string place, const Rates &rates)
      : parts(describeParts(function)),
        target(Target::of(function->getParentOfType<ModuleOp>())),
        place(std::move(place)), rates(rates) {}

  void run();
  /// Of all parts, for `tokens` tokens at the start of a context.
  Cost total(int64_t tokens) const;

private:
  Cost costOf(const DescribedPart &each, int64_t tokens) const;
  void sayParts() const;
  void saySmall() const;
  void sayMissed() const;
  void saySharedRows() const;
  llvm::raw_ostream &begin() const { return say() << place << ": "; }

  SmallVector<DescribedPart> parts;
  Target target;
  std::string place;
  Rates rates;
};
} // namespace

static constexpr int64_t kPrompt = 512;

Cost FunctionRemarks::costOf(const DescribedPart &each, int64_t tokens) const {
  CallShape call;
  call.tokens = tokens;
  Cost cost;
  cost.work =
      workOf(each.part, call,
             ::moe::runtime::expectedExperts(tokens, each.slots, each.experts));
  if (rates.read > 0)
    cost.seconds =
        std::max(cost.work.bytes / rates.read, cost.work.flops / rates.peak);
  return cost;
}

Cost FunctionRemarks::total(int64_t tokens) const {
  Cost sum;
  for (const DescribedPart &each : parts)
    sum.add(costOf(each, tokens));
  return sum;
}

/// A line for each part that multiplies.
void FunctionRemarks::sayParts() const {
  for (const DescribedPart &each : parts) {
    if (each.part.recipe.empty())
      continue;
    begin() << each.part.name << ": '" << each.op->getName().getStringRef()
            << "' by " << each.part.recipe << ", " << variantOf(each.op, target)
            << "; a token " << show(costOf(each, 1)) << ", " << kPrompt
            << " tokens " << show(costOf(each, kPrompt)) << "\n";
  }
}

/// One line for the others.
void FunctionRemarks::saySmall() const {
  llvm::MapVector<StringRef, int64_t> counts;
  for (const DescribedPart &each : parts)
    if (each.part.recipe.empty())
      ++counts[each.part.name];
  if (counts.empty())
    return;
  llvm::raw_ostream &os = begin() << "without products: ";
  llvm::interleaveComma(counts, os, [&](const auto &pair) {
    os << pair.first;
    if (pair.second > 1)
      os << " x " << pair.second;
  });
  os << "\n";
}

/// Parts that missed the same are said together.
void FunctionRemarks::sayMissed() const {
  llvm::MapVector<std::string, llvm::SetVector<StringRef>,
                  std::map<std::string, unsigned>>
      missed;
  for (const DescribedPart &each : parts)
    for (const std::string &why :
         {whyOneSlot(each.op), whyPadded(each.op), whyOwnLoop(each.op)})
      if (!why.empty())
        missed[why].insert(each.part.name);
  for (const auto &[why, names] : missed)
    begin() << llvm::join(names, ", ") << ": missed: " << why << "\n";
}

/// Products that read the same rows.
void FunctionRemarks::saySharedRows() const {
  llvm::MapVector<Value, SmallVector<StringRef>> readers;
  for (const DescribedPart &each : parts)
    if (auto linear = dyn_cast<lm::LinearOp>(each.op))
      readers[linear.getX()].push_back(each.part.name);
  for (const auto &[rows, names] : readers) {
    if (names.size() < 2)
      continue;
    begin() << llvm::join(names, ", ")
            << ": missed: one product: each packs the same rows, and ends with "
               "a barrier\n";
  }
}

void FunctionRemarks::run() {
  sayParts();
  saySmall();
  sayMissed();
  saySharedRows();
}

/// Ascending numbers: "layers 0-2, 4".
static std::string layersText(ArrayRef<int64_t> layers) {
  std::string text = layers.size() == 1 ? "layer " : "layers ";
  for (size_t i = 0; i < layers.size();) {
    size_t last = i;
    while (last + 1 < layers.size() && layers[last + 1] == layers[last] + 1)
      ++last;
    text += (i ? ", " : "") + std::to_string(layers[i]);
    if (last > i)
      text += "-" + std::to_string(layers[last]);
    i = last + 1;
  }
  return text;
}

/// The layers that each private function is.
static llvm::StringMap<SmallVector<int64_t>> layersOf(ModuleOp module) {
  llvm::StringMap<SmallVector<int64_t>> layers;
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr(mlir::moe::kStepAttr))
      for (auto [layer, call] : llvm::enumerate(layerCallsOf(function)))
        layers[call.getCallee()].push_back(layer);
  return layers;
}

void moec::remarkOnParts(ModuleOp module, const Rates &rates) {
  auto layers = layersOf(module);
  Cost token, prompt;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isExternal())
      continue;
    StringRef name = function.getName();
    auto found = layers.find(name);
    bool isStep = function->hasAttr(mlir::moe::kStepAttr);
    std::string place = found != layers.end() ? layersText(found->second)
                        : isStep              ? "step"
                                              : ("@" + name).str();
    FunctionRemarks remarks(function, place, rates);
    remarks.run();
    int64_t times = found != layers.end() ? found->second.size() : 1;
    token.add(remarks.total(1), times);
    prompt.add(remarks.total(kPrompt), times);
  }
  say() << "cost, weights and cache read and products, with experts equally "
           "likely: a token "
        << show(token) << ", " << kPrompt << " tokens " << show(prompt) << "\n";
}
