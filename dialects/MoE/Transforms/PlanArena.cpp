//===- PlanArena.cpp - One arena: every temporary gets an offset ----------===//
//
// Part of moe-mlir. A size is a pair (A, B): A * capacity + B bytes, where
// capacity is the most tokens of a call, a multiple of 16. Places are given in
// order of first use; a place is free again after its buffer's last use.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/Transforms/BufferContext.h"
#include "dialects/MoE/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOEPLANARENA
#include "dialects/MoE/Transforms/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
struct Size {
  int64_t perToken = 0, fixed = 0;

  Size maxWith(Size other) const {
    return {std::max(perToken, other.perToken), std::max(fixed, other.fixed)};
  }
  Size plus(Size other) const {
    return {perToken + other.perToken, fixed + other.fixed};
  }
};

/// A place in a function's frame that buffers take turns to use.
struct Place {
  Size size;
  unsigned freeFrom; // number of the op after which it is free
};

/// Lays out one function.
class FramePlanner {
public:
  FramePlanner(func::FuncOp function, const llvm::StringMap<Size> &callees)
      : function(function), callees(callees) {}

  /// Bytes that the function needs, callees included.
  LogicalResult run(Size &total, int64_t scratchBytes);

private:
  LogicalResult findArguments();
  void assign(memref::AllocOp alloc, unsigned number, unsigned lastUse);
  Value offsetOf(OpBuilder &builder, Location loc, Size at);
  void rewriteCalls(Size own, Size &most);
  void rewriteScratch(Size total, int64_t scratchBytes);

  func::FuncOp function;
  const llvm::StringMap<Size> &callees;
  SmallVector<Place> places;
  SmallVector<std::pair<memref::AllocOp, unsigned>> chosen;
  Value arena, capacity, slots;
  bool isEntry = false;
};
} // namespace

static MemRefType bytesType(OpBuilder &builder) {
  return MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
}

/// Size of a buffer, rounded so that every place is aligned to 64 bytes.
static Size sizeOf(memref::AllocOp alloc) {
  MemRefType type = alloc.getType();
  int64_t elements = 1;
  for (int64_t dim : type.getShape())
    if (!ShapedType::isDynamic(dim))
      elements *= dim;
  int64_t bytes = elements * (type.getElementTypeBitWidth() / 8);
  if (type.hasStaticShape())
    return {0, int64_t(llvm::alignTo(bytes, 64))};
  auto rows = alloc->getAttrOfType<IntegerAttr>(kRowsPerTokenAttr);
  // Capacity is a multiple of 16, so 4 bytes a token keep the alignment.
  return {int64_t(llvm::alignTo(bytes * (rows ? rows.getInt() : 1), 4)), 0};
}

void FramePlanner::assign(memref::AllocOp alloc, unsigned number,
                          unsigned lastUse) {
  Size size = sizeOf(alloc);
  int best = -1;
  for (auto [i, place] : llvm::enumerate(places)) {
    bool sameKind = (place.size.perToken > 0) == (size.perToken > 0);
    if (place.freeFrom >= number || !sameKind)
      continue;
    // The smallest that is large enough, else the largest.
    int64_t want = size.perToken + size.fixed;
    auto fit = [&](int j) {
      int64_t have = places[j].size.perToken + places[j].size.fixed;
      return have >= want ? have - want : (want - have) + (int64_t(1) << 40);
    };
    if (best < 0 || fit(i) < fit(best))
      best = i;
  }
  if (best < 0) {
    best = places.size();
    places.push_back({});
  }
  places[best].size = places[best].size.maxWith(size);
  places[best].freeFrom = std::max(places[best].freeFrom, lastUse);
  chosen.push_back({alloc, unsigned(best)});
}

Value FramePlanner::offsetOf(OpBuilder &builder, Location loc, Size at) {
  auto index = [&](int64_t v) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, v);
  };
  if (at.perToken == 0)
    return index(at.fixed);
  Value scaled =
      arith::MulIOp::create(builder, loc, capacity, index(at.perToken));
  return arith::AddIOp::create(builder, loc, scaled, index(at.fixed));
}

/// A callee's frame lies behind this function's own.
void FramePlanner::rewriteCalls(Size own, Size &most) {
  Value frame;
  function.walk([&](func::CallOp call) {
    auto callee = callees.find(call.getCallee());
    if (callee == callees.end())
      return;
    most = most.maxWith(callee->second);
    unsigned arenaOperand =
        call.getNumOperands() - BufferContext::kArguments + 2;
    if (!frame) {
      OpBuilder builder(call);
      Value offset = offsetOf(builder, call.getLoc(), own);
      Value size = memref::DimOp::create(builder, call.getLoc(), arena, 0);
      size = arith::SubIOp::create(builder, call.getLoc(), size, offset);
      frame = memref::ViewOp::create(builder, call.getLoc(), bytesType(builder),
                                     arena, offset, ValueRange{size});
    }
    call.setOperand(arenaOperand, frame);
  });
}

void FramePlanner::rewriteScratch(Size total, int64_t scratchBytes) {
  // Unused until kernels are outlined, unless there are calls: CSE may have
  // removed the placeholder.
  Block &block = function.getBody().front();
  bool hasView = llvm::any_of(block.getOps<memref::ViewOp>(), [](auto view) {
    return view->hasAttr(kScratchAttr);
  });
  if (isEntry && !hasView) {
    OpBuilder builder = OpBuilder::atBlockBegin(&block);
    BufferContext context;
    context.arena = arena;
    addScratchPlaceholder(builder, function.getLoc(), context);
  }
  function.walk([&](memref::ViewOp view) {
    if (!view->hasAttr(kScratchAttr))
      return;
    OpBuilder builder(view);
    Location loc = view.getLoc();
    Value offset = offsetOf(builder, loc, total);
    Value each = arith::ConstantIndexOp::create(builder, loc, scratchBytes);
    Value size = arith::MulIOp::create(builder, loc, slots, each);
    view.setOperand(1, offset);
    view.setOperand(2, size);
  });
}

/// Finds what moe-to-buffers added to the signature.
LogicalResult FramePlanner::findArguments() {
  Block &block = function.getBody().front();
  int64_t count = block.getNumArguments();
  bool isStep = function->hasAttr(kStepAttr);
  isEntry = isStep || !function.isPrivate();
  int64_t ofContext = isStep    ? BufferContext::kStepArguments
                      : isEntry ? BufferContext::kEntryArguments
                                : BufferContext::kArguments;
  int64_t arenaNumber = isStep ? 2 : count - ofContext + (isEntry ? 0 : 2);
  int64_t capacityNumber = isStep    ? 9
                           : isEntry ? arenaNumber + 1
                                     : arenaNumber + 4;
  if (count >= ofContext) {
    arena = block.getArgument(arenaNumber);
    capacity = block.getArgument(capacityNumber);
    slots = block.getArgument(count - 1);
    OpBuilder builder(function);
    if (arena.getType() == bytesType(builder) && capacity.getType().isIndex() &&
        slots.getType().isIndex())
      return success();
  }
  return function.emitOpError("lacks the arguments that moe-to-buffers adds");
}

LogicalResult FramePlanner::run(Size &total, int64_t scratchBytes) {
  if (failed(findArguments()))
    return failure();
  Block &block = function.getBody().front();
  DenseMap<Operation *, unsigned> numbers;
  unsigned next = 0;
  for (Operation &op : block)
    numbers[&op] = next++;
  for (auto alloc : block.getOps<memref::AllocOp>()) {
    if (!alloc.getType().getElementType().isIntOrFloat() ||
        alloc.getDynamicSizes().size() > 1 ||
        !alloc.getType().getLayout().isIdentity())
      return alloc.emitOpError("is no block of rows");
    // A buffer lives from the op that first writes it, not from its alloc.
    unsigned first = next, last = 0;
    for (Operation *user : alloc->getUsers()) {
      unsigned number = numbers.lookup(block.findAncestorOpInBlock(*user));
      if (isa<memref::DimOp>(user))
        continue;
      // A view would live on where its users are not looked at.
      if (isa<ViewLikeOpInterface>(user))
        return alloc.emitOpError("must not be viewed before it has a place");
      first = std::min(first, number);
      last = std::max(last, number);
    }
    assign(alloc, std::min(first, next), last);
  }
  // Offsets of the places.
  SmallVector<Size> offsets;
  Size own;
  for (const Place &place : places) {
    offsets.push_back(own);
    own = own.plus(place.size);
  }
  for (auto [alloc, place] : chosen) {
    OpBuilder builder(alloc);
    Value offset = offsetOf(builder, alloc.getLoc(), offsets[place]);
    Value view =
        memref::ViewOp::create(builder, alloc.getLoc(), alloc.getType(), arena,
                               offset, alloc.getDynamicSizes());
    alloc.replaceAllUsesWith(view);
    alloc.erase();
  }
  Size most;
  rewriteCalls(own, most);
  total = own.plus(most);
  rewriteScratch(total, scratchBytes);
  return success();
}

namespace {
struct PlanArenaPass : moe::impl::MoEPlanArenaBase<PlanArenaPass> {
  using MoEPlanArenaBase::MoEPlanArenaBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::StringMap<Size> totals;
    Size entry;
    // Layers first: a step's frame knows what its calls need.
    for (bool isPrivate : {true, false})
      for (auto function : module.getOps<func::FuncOp>()) {
        if (function.isExternal() || function.isPrivate() != isPrivate)
          continue;
        Size total;
        if (failed(FramePlanner(function, totals).run(total, scratchBytes)))
          return signalPassFailure();
        totals[function.getName()] = total;
        if (!isPrivate)
          entry = entry.maxWith(total);
      }
    Builder builder(module.getContext());
    NamedAttrList attrs;
    attrs.append("per_token", builder.getI64IntegerAttr(entry.perToken));
    attrs.append("fixed", builder.getI64IntegerAttr(entry.fixed));
    attrs.append("per_thread", builder.getI64IntegerAttr(scratchBytes));
    module->setAttr(kArenaAttr, attrs.getDictionary(module.getContext()));
  }
};
} // namespace
