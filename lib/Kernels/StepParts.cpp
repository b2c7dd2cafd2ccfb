//===- StepParts.cpp - From IR to the list of a step's kernels ------------===//
//
// Part of moe-mlir. A cost counts the weights and the cache that a kernel
// reads, and the FLOPs of its products: docs/profiling.md says why no more.
//
//===----------------------------------------------------------------------===//

#include "StepParts.h"

#include "Matmul.h"
#include "OpKernels.h"
#include "dialects/MoE/Transforms/BufferContext.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moec::kernels;
using ::moe::runtime::StepPart;
using ::moe::runtime::StepParts;

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

namespace {
/// Which weight lies where: what views of the weights in a function read.
class WeightNames {
public:
  explicit WeightNames(ModuleOp module);
  /// The weight that `op` reads, without its layer; empty if there is none.
  std::string of(Operation *op) const;

private:
  std::optional<int64_t> offsetOf(memref::ViewOp view) const;

  llvm::DenseMap<int64_t, StringRef> byOffset;
  /// Of each function that a step calls, the offsets of its first call.
  llvm::DenseMap<Operation *, SmallVector<int64_t>> records;
};
} // namespace

static std::optional<int64_t> constantOf(Value value) {
  if (auto constant = value.getDefiningOp<arith::ConstantIndexOp>())
    return constant.value();
  return std::nullopt;
}

/// The constant record that a call passes, if it does.
static SmallVector<int64_t> recordOf(func::CallOp call, SymbolTable &symbols) {
  unsigned context = mlir::moe::BufferContext::kArguments;
  if (call.getNumOperands() < context)
    return {};
  Value record = call.getOperand(call.getNumOperands() - context + 1);
  if (auto cast = record.getDefiningOp<memref::CastOp>())
    record = cast.getSource();
  auto get = record.getDefiningOp<memref::GetGlobalOp>();
  auto global = get ? symbols.lookup<memref::GlobalOp>(get.getName())
                    : memref::GlobalOp();
  auto values =
      global
          ? dyn_cast_or_null<DenseIntElementsAttr>(global.getInitialValueAttr())
          : DenseIntElementsAttr();
  SmallVector<int64_t> offsets;
  if (values)
    for (const APInt &value : values)
      offsets.push_back(value.getSExtValue());
  return offsets;
}

WeightNames::WeightNames(ModuleOp module) {
  for (auto weights : module.getOps<lm::WeightsOp>())
    if (std::optional<uint64_t> offset = weights.getOffset())
      byOffset[*offset] = weights.getSymName();
  SymbolTable symbols(module);
  module.walk([&](func::CallOp call) {
    if (Operation *callee = symbols.lookup(call.getCallee()))
      if (SmallVector<int64_t> &record = records[callee]; record.empty())
        record = recordOf(call, symbols);
  });
}

/// A step has constant offsets, a layer loads them from its record.
std::optional<int64_t> WeightNames::offsetOf(memref::ViewOp view) const {
  auto function = view->getParentOfType<func::FuncOp>();
  if (auto load = view.getByteShift().getDefiningOp<memref::LoadOp>()) {
    auto record = records.find(function);
    std::optional<int64_t> at = constantOf(load.getIndices().front());
    if (record == records.end() || !at || *at >= int64_t(record->second.size()))
      return std::nullopt;
    return record->second[*at];
  }
  if (function->hasAttr(mlir::moe::kStepAttr) &&
      view.getSource() == function.getArgument(0))
    return constantOf(view.getByteShift());
  return std::nullopt;
}

/// "layers.3.attn.q" -> "attn.q".
static StringRef withoutLayer(StringRef name) {
  StringRef rest = name;
  unsigned layer;
  if (rest.consume_front("layers.") && !rest.consumeInteger(10, layer) &&
      rest.consume_front("."))
    return rest;
  return name;
}

std::string WeightNames::of(Operation *op) const {
  for (Value operand : op->getOperands())
    if (auto view = operand.getDefiningOp<memref::ViewOp>())
      if (std::optional<int64_t> offset = offsetOf(view))
        if (auto name = byOffset.find(*offset); name != byOffset.end())
          return withoutLayer(name->second).str();
  return {};
}

//===----------------------------------------------------------------------===//
// Costs
//===----------------------------------------------------------------------===//

static int64_t columnsOf(Value rows) {
  return cast<MemRefType>(rows.getType()).getDimSize(1);
}

static int64_t bytesOf(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  return type.getNumElements() * type.getElementTypeBitWidth() / 8;
}

/// Experts that a token chooses: slots of the plan that a product reads, which
/// a dispatch in the same function writes. A function that takes a plan has no
/// buffer form.
static int64_t slotsOf(mlir::moe::GroupedMatmulOp op) {
  auto users = op.getPlan().front().getUsers();
  auto dispatch = llvm::find_if(users, llvm::IsaPred<mlir::moe::DispatchOp>);
  assert(dispatch != users.end() && "nothing writes a plan that is read");
  return columnsOf(cast<mlir::moe::DispatchOp>(*dispatch).getIds());
}

static void addCost(StepPart &part, lm::EmbeddingOp op) {
  auto table = cast<MemRefType>(op.getTable().getType());
  part.rowBytes = table.getDimSize(1) * table.getElementTypeBitWidth() / 8;
}

static void addCost(StepPart &part, lm::LinearOp op) {
  part.bytes = bytesOf(op.getWeight());
  part.rowFlops = 2 * columnsOf(op.getX()) * columnsOf(op.getOuts().front());
}

static void addCost(StepPart &part, lm::GatedLinearOp op) {
  part.bytes = bytesOf(op.getWeight());
  part.rowFlops = 4 * columnsOf(op.getX()) * columnsOf(op.getOuts().front());
}

static void addCost(StepPart &part, mlir::moe::RouteOp op) {
  part.bytes = bytesOf(op.getGate());
  part.rowFlops = 2 * columnsOf(op.getX()) * op.getExperts();
}

static void addCost(StepPart &part, mlir::moe::GroupedMatmulOp op) {
  auto weight = cast<MemRefType>(op.getWeight().getType());
  part.expertBytes = bytesOf(op.getWeight()) / weight.getDimSize(0);
  int64_t columns = columnsOf(op.getOuts().front());
  if (op.getFunction() || op.getPaired())
    columns *= 2;
  part.rowFlops = 2 * columnsOf(op.getX()) * columns * slotsOf(op);
}

static void addCost(StepPart &part, lm::AttentionOp op) {
  lm::StateType cache = op.getCacheType();
  // Scores and weighted values: a multiply-add each.
  part.positionFlops = 4 * columnsOf(op.getQ());
  part.window = op.getWindow();
  for (Type element : cache.getElementTypes())
    part.cacheBytes.push_back(cache.getHeads() * cache.getRowBytes(element));
}

static std::string nameOf(Recipe recipe, Target target) {
  target.recipe = recipe;
  return target.recipeName();
}

std::string moec::kernels::recipeOf(Operation *op, const Target &target) {
  auto ofProduct = [&](const PackedWeight &weight, Value x) {
    TileFamily family = familyOf(weight, x, target);
    return family.sumsWholeRows() ? "row-sums" : nameOf(family.recipe, target);
  };
  return TypeSwitch<Operation *, std::string>(op)
      .Case<lm::LinearOp, lm::GatedLinearOp, mlir::moe::GroupedMatmulOp>(
          [&](auto product) {
            return ofProduct(PackedWeight::of(product), product.getX());
          })
      .Case([&](mlir::moe::RouteOp route) {
        return ofProduct(PackedWeight::of(route.getGate()), route.getX());
      })
      .Case([&](lm::AttentionOp op) {
        auto q = cast<MemRefType>(op.getQ().getType());
        bool pairs =
            q.getElementType().isBF16() && target.recipe == Recipe::DotPairs;
        return nameOf(pairs ? Recipe::DotPairs : Recipe::WidenFMA, target);
      })
      .Default([](Operation *) { return std::string(); });
}

static StepPart describe(Operation *op, const WeightNames &names,
                         const Target &target) {
  StepPart part;
  part.op = op->getName().stripDialect().str();
  part.name = names.of(op);
  if (part.name.empty())
    part.name = part.op;
  part.recipe = recipeOf(op, target);
  TypeSwitch<Operation *>(op)
      .Case<lm::EmbeddingOp, lm::LinearOp, lm::GatedLinearOp, lm::AttentionOp,
            mlir::moe::RouteOp, mlir::moe::GroupedMatmulOp>(
          [&](auto concrete) { addCost(part, concrete); });
  return part;
}

//===----------------------------------------------------------------------===//
// Lists
//===----------------------------------------------------------------------===//

static SmallVector<DescribedPart> describe(func::FuncOp function,
                                           const WeightNames &names,
                                           const Target &target) {
  SmallVector<DescribedPart> parts;
  bool lastRows = false;
  for (Operation &op : function.getBody().front()) {
    if (!isKernelOp(&op))
      continue;
    StepPart part = describe(&op, names, target);
    // What follows in a step works on the rows that this op leaves.
    lastRows |=
        isa<lm::LastRowsOp>(op) && function->hasAttr(mlir::moe::kStepAttr);
    part.lastRows = lastRows;
    parts.push_back({&op, std::move(part)});
    if (auto grouped = dyn_cast<mlir::moe::GroupedMatmulOp>(op)) {
      parts.back().slots = slotsOf(grouped);
      parts.back().experts = PackedWeight::of(grouped).experts;
    }
  }
  return parts;
}

SmallVector<DescribedPart> moec::kernels::describeParts(func::FuncOp function) {
  auto module = function->getParentOfType<ModuleOp>();
  return describe(function, WeightNames(module), Target::of(module));
}

namespace {
/// Lists the bodies of a step in the order of their first run.
class StepReader {
public:
  explicit StepReader(ModuleOp module)
      : symbols(module), names(module), target(Target::of(module)) {}

  void read(func::FuncOp step);
  StepParts takeParts() { return std::move(parts); }

private:
  void addOwn(SmallVector<DescribedPart> &own);
  size_t bodyOf(func::FuncOp function);

  SymbolTable symbols;
  WeightNames names;
  Target target;
  llvm::DenseMap<Operation *, size_t> known;
  StepParts parts;
};
} // namespace

static std::vector<StepPart> withoutOps(ArrayRef<DescribedPart> described) {
  std::vector<StepPart> parts;
  for (const DescribedPart &each : described)
    parts.push_back(each.part);
  return parts;
}

size_t StepReader::bodyOf(func::FuncOp function) {
  auto [it, isNew] = known.try_emplace(function, parts.bodies.size());
  if (isNew)
    parts.bodies.push_back(withoutOps(describe(function, names, target)));
  return it->second;
}

/// The step's own ops since its last call.
void StepReader::addOwn(SmallVector<DescribedPart> &own) {
  if (own.empty())
    return;
  parts.order.push_back({parts.bodies.size(), -1});
  parts.bodies.push_back(withoutOps(own));
  own.clear();
}

SmallVector<func::CallOp> moec::kernels::layerCallsOf(func::FuncOp step) {
  return llvm::to_vector(step.getOps<func::CallOp>());
}

void StepReader::read(func::FuncOp step) {
  SmallVector<DescribedPart> all = describe(step, names, target), own;
  auto next = all.begin();
  SmallVector<func::CallOp> calls = layerCallsOf(step);
  func::CallOp *call = calls.begin();
  for (Operation &op : step.getBody().front()) {
    if (next != all.end() && next->op == &op)
      own.push_back(std::move(*next++));
    if (call == calls.end() || *call != &op)
      continue;
    addOwn(own);
    auto callee = symbols.lookup<func::FuncOp>(call->getCallee());
    assert(callee && "phase buffers checks what a step calls");
    parts.order.push_back({bodyOf(callee), call++ - calls.begin()});
  }
  addOwn(own);
}

StepParts moec::kernels::describeStep(ModuleOp module) {
  StepReader reader(module);
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr(mlir::moe::kStepAttr))
      reader.read(function);
  return reader.takeParts();
}
