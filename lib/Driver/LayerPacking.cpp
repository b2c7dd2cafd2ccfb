//===- LayerPacking.cpp - Packing weights as generated code ---------------===//
//
// Part of moe-mlir. The same layouts as Pack.cpp, for weights that a caller of
// a library has in memory.
//
//===----------------------------------------------------------------------===//

#include "LayerPacking.h"

#include "lib/Kernels/Emitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace moec;
using kernels::Emitter;
using lm::Layout;
using lm::PackedType;

std::string moec::packingName(PackedType type) {
  std::string name = "moe_pack_" + lm::stringifyLayout(type.getLayout()).str();
  for (int64_t dim : type.getShape())
    name += "_" + std::to_string(dim);
  llvm::raw_string_ostream(name) << "_" << type.getElementType();
  return name;
}

/// Elements of a 4-byte step.
static int64_t stepElements(PackedType type) {
  return 32 / type.getElementType().getIntOrFloatBitWidth();
}

std::pair<MemRefType, MemRefType> moec::packingArguments(PackedType type) {
  Type element = IntegerType::get(
      type.getContext(), type.getElementType().getIntOrFloatBitWidth());
  int64_t matrices = type.getExperts(), rows = type.getRows();
  auto logical = MemRefType::get({matrices, rows, type.getColumns()}, element);
  if (type.getLayout() == Layout::RowMajor)
    return {logical, logical};
  return {logical, MemRefType::get({matrices, type.getPanels(), type.getLines(),
                                    PackedType::kLanes, stepElements(type)},
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

/// One lane of a panel: a row, or zeros behind the last one.
void PackingEmitter::lane(Value matrix, Value panel, Value lane) {
  Value first = e.mul(panel, PackedType::kLanes);
  Value row = e.add(first, lane), end = e.index(type.getRows());
  Value source = row;
  if (type.getLayout() == Layout::PairedPanel) {
    // Panels alternate gate (first half of the rows), up (second half).
    int64_t half = type.getRows() / 2;
    Value pair = e.div(panel, 2), isUp = e.rem(panel, e.index(2));
    row = e.add(e.mul(pair, PackedType::kLanes), lane);
    source = e.add(row, e.mul(isUp, half));
    end = e.index(half);
  }
  int64_t each = stepElements(type);
  auto step = [&](Value line, int64_t i, bool isRow, bool inside) {
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
  e.when(e.less(row, end), [&] { steps(true); }, [&] { steps(false); });
}

void PackingEmitter::panels() {
  count(type.getExperts(), [&](Value matrix) {
    count(type.getPanels(), [&](Value panel) {
      count(PackedType::kLanes,
            [&](Value number) { lane(matrix, panel, number); });
    });
  });
}

void moec::addPackingFunction(ModuleOp module, PackedType type) {
  std::string name = packingName(type);
  if (module.lookupSymbol(name))
    return;
  OpBuilder builder(module.getContext());
  builder.setInsertionPointToEnd(module.getBody());
  auto [logical, packed] = packingArguments(type);
  auto function = func::FuncOp::create(
      builder, builder.getUnknownLoc(), name,
      builder.getFunctionType({logical, packed}, {}));
  function.setPrivate();
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToStart(block);
  kernels::Target target = kernels::Target::of(module);
  Emitter emitter(builder, function.getLoc(), target);
  PackingEmitter packing(emitter, type, block->getArgument(0),
                         block->getArgument(1));
  if (type.getLayout() == Layout::RowMajor)
    packing.copy();
  else
    packing.panels();
  func::ReturnOp::create(builder, function.getLoc());
}
