//===- LayerPacking.cpp - Packing weights as generated code ---------------===//
//
// Part of moe-mlir. The same layouts as Pack.cpp, for weights that a caller of
// a library has in memory.
//
//===----------------------------------------------------------------------===//

#include "LayerPacking.h"
#include "LayerQuantising.h"

#include "lib/Kernels/Emitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace moec;
using kernels::Emitter;
using lm::Layout;
using lm::PackedType;

std::string WeightPacking::functionName() const {
  std::string name =
      "moe_pack_" + lm::stringifyLayout(packed.getLayout()).str();
  for (int64_t dim : packed.getShape())
    name += "_" + std::to_string(dim);
  llvm::raw_string_ostream out(name);
  out << "_" << lm::stringifyFormat(packed.getFormat());
  if (packed.isQuantised())
    out << "_" << logical.getElementType();
  return name;
}

/// Elements of a 4-byte step.
static int64_t stepElements(PackedType type) {
  return 32 / type.getStorageType().getIntOrFloatBitWidth();
}

std::pair<MemRefType, MemRefType> WeightPacking::argumentTypes() const {
  Type element = logical.getElementType();
  int64_t matrices = packed.getExperts(), rows = packed.getRows();
  if (!packed.isQuantised())
    element = IntegerType::get(packed.getContext(),
                               element.getIntOrFloatBitWidth());
  auto from = MemRefType::get({matrices, rows, packed.getColumns()}, element);
  if (packed.isQuantised())
    return {from, MemRefType::get({matrices, packed.getPanels(),
                                   packed.getLines(), 64},
                                  packed.getStorageType())};
  if (packed.getLayout() == Layout::RowMajor)
    return {from, from};
  return {from,
          MemRefType::get({matrices, packed.getPanels(), packed.getLines(),
                           PackedType::kLanes, stepElements(packed)},
                          element)};
}

namespace {
/// Emits the body of one packing function.
class PackingEmitter {
public:
  PackingEmitter(Emitter &e, PackedType type, Value logical, Value packed)
      : e(e), type(type), logical(logical), packed(packed) {}

  void copy();
  void panels();

private:
  void lane(Value matrix, Value panel, Value lane);
  void quantisedLane(Value matrix, Value panel, Value lane);
  std::pair<Value, Value> rowOf(Value panel, Value lane);
  void count(int64_t upper, Emitter::Body body) {
    e.loop(e.index(0), e.index(upper), 1, body);
  }

  Emitter &e;
  PackedType type;
  Value logical, packed;
};
} // namespace

/// Rows one after the other: as they came.
void PackingEmitter::copy() {
  count(type.getExperts(), [&](Value matrix) {
    count(type.getRows(), [&](Value row) {
      count(type.getColumns(), [&](Value column) {
        SmallVector<Value> at = {matrix, row, column};
        Value element = memref::LoadOp::create(e.b, e.loc, logical, at);
        memref::StoreOp::create(e.b, e.loc, element, packed, at);
      });
    });
  });
}

/// The row of a lane, and whether there is one.
std::pair<Value, Value> PackingEmitter::rowOf(Value panel, Value lane) {
  Value row = e.add(e.mul(panel, PackedType::kLanes), lane);
  if (type.getLayout() != Layout::PairedPanel)
    return {row, e.less(row, e.index(type.getRows()))};
  // Panels alternate gate (first half of the rows), up (second half).
  int64_t half = type.getRows() / 2;
  Value pair = e.div(panel, 2), isUp = e.rem(panel, e.index(2));
  row = e.add(e.mul(pair, PackedType::kLanes), lane);
  return {e.add(row, e.mul(isUp, half)), e.less(row, e.index(half))};
}

/// One lane of a panel in a quantised format: a row, or zeros behind the last.
void PackingEmitter::quantisedLane(Value matrix, Value panel, Value lane) {
  auto [row, isRow] = rowOf(panel, lane);
  auto layout = lm::QuantisedLayout::of(type.getFormat());
  auto lines = MemRefType::get(
      {type.getLines(), 64}, e.b.getI8Type(),
      StridedLayoutAttr::get(e.b.getContext(), ShapedType::kDynamic, {64, 1}));
  SmallVector<OpFoldResult> offsets = {matrix, panel, e.b.getIndexAttr(0),
                                       e.b.getIndexAttr(0)},
                            sizes, strides(4, e.b.getIndexAttr(1));
  for (int64_t size : {int64_t(1), int64_t(1), type.getLines(), int64_t(64)})
    sizes.push_back(e.b.getIndexAttr(size));
  Value view = memref::SubViewOp::create(e.b, e.loc, lines, packed, offsets,
                                         sizes, strides);
  auto load = [&, row = row](Value number, int64_t columns) {
    SmallVector<Value> values;
    for (int64_t i = 0; i < lm::kGroup; i += e.lanes) {
      int64_t here = std::clamp<int64_t>(columns - i, 0, e.lanes);
      Value column = e.add(e.mul(number, lm::kGroup), i);
      values.push_back(here ? e.load(logical, {matrix, row, column}, here)
                            : e.splat(0));
    }
    return values;
  };
  int64_t whole = type.getColumns() / lm::kGroup;
  int64_t rest = type.getColumns() % lm::kGroup;
  // Of all columns, where they have one scale.
  auto largestOfRow = [&] {
    auto step = [&](Value number, ValueRange before) -> SmallVector<Value> {
      return {emitLargest(e, load(number, lm::kGroup), before.front())};
    };
    Value zeros = e.integer(e.vectorOf(e.b.getI32Type()), 0);
    Value most = e.loop(e.index(0), e.index(whole), 1, zeros, step).front();
    return rest ? emitLargest(e, load(e.index(whole), rest), most) : most;
  };
  Value largest;
  auto group = [&](Value number, int64_t columns) {
    emitQuantisedGroup(e, type.getFormat(), load(number, columns), largest,
                       lane, number, view);
  };
  int64_t groups = layout.paddedColumns(type.getLines()) / lm::kGroup;
  auto emptyFrom = [&](int64_t first) {
    e.loop(e.index(first), e.index(groups), 1,
           [&](Value number) { group(number, 0); });
  };
  e.when(
      isRow,
      [&] {
        if (layout.spansRow())
          largest = largestOfRow();
        count(whole, [&](Value number) { group(number, lm::kGroup); });
        if (rest)
          group(e.index(whole), rest);
        emptyFrom(whole + (rest ? 1 : 0));
      },
      [&] {
        largest = {};
        emptyFrom(0);
      });
}

/// One lane of a panel: a row, or zeros behind the last one.
void PackingEmitter::lane(Value matrix, Value panel, Value lane) {
  if (type.isQuantised())
    return quantisedLane(matrix, panel, lane);
  auto [source, isRow] = rowOf(panel, lane);
  int64_t each = stepElements(type);
  auto step = [&, source = source](Value line, int64_t i, bool isRow,
                                   bool inside) {
    SmallVector<Value> at = {matrix, panel, line, lane, e.index(i)};
    Value element;
    if (isRow && inside) {
      Value column = e.add(e.mul(line, each), i);
      element = memref::LoadOp::create(e.b, e.loc, logical,
                                       ValueRange{matrix, source, column});
    } else {
      element = e.integer(
          cast<MemRefType>(packed.getType()).getElementType(), 0);
    }
    memref::StoreOp::create(e.b, e.loc, element, packed, at);
  };
  // Whole steps, then one that K ends in.
  int64_t whole = type.getColumns() / each;
  auto steps = [&](bool isRow) {
    count(whole, [&](Value line) {
      for (int64_t i = 0; i < each; ++i)
        step(line, i, isRow, true);
    });
    for (int64_t i = 0; whole < type.getLines() && i < each; ++i)
      step(e.index(whole), i, isRow, whole * each + i < type.getColumns());
  };
  e.when(isRow, [&] { steps(true); }, [&] { steps(false); });
}

void PackingEmitter::panels() {
  count(type.getExperts(), [&](Value matrix) {
    count(type.getPanels(), [&](Value panel) {
      count(PackedType::kLanes,
            [&](Value number) { lane(matrix, panel, number); });
    });
  });
}

void moec::addPackingFunction(ModuleOp module, const WeightPacking &weight) {
  std::string name = weight.functionName();
  if (module.lookupSymbol(name))
    return;
  OpBuilder builder(module.getContext());
  builder.setInsertionPointToEnd(module.getBody());
  auto [logical, packed] = weight.argumentTypes();
  auto function = func::FuncOp::create(
      builder, builder.getUnknownLoc(), name,
      builder.getFunctionType({logical, packed}, {}));
  function.setPrivate();
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToStart(block);
  kernels::Target target = kernels::Target::of(module);
  Emitter emitter(builder, function.getLoc(), target);
  PackedType type = weight.packed;
  PackingEmitter packing(emitter, type, block->getArgument(0),
                         block->getArgument(1));
  if (type.getLayout() == Layout::RowMajor)
    packing.copy();
  else
    packing.panels();
  func::ReturnOp::create(builder, function.getLoc());
}
