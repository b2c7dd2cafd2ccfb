//===- MicroKernel.cpp - Register tiles: R rows x P panels ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "MicroKernel.h"
#include "ISA/DotPairs.h"
#include "MatrixTile.h"
#include "QuantisedRows.h"
#include "TileBuilder.h"

using namespace mlir;
using namespace moec::kernels;

Type TileFamily::rowElement(OpBuilder &b) const {
  return recipe == Recipe::WidenFMA ? Type(b.getF32Type())
                                    : Type(b.getI32Type());
}

TileFamily TileFamily::of(lm::Format format, const Target &target) {
  if (lm::isQuantised(format))
    return {format,
            target.floatActivations ? Recipe::WidenFMA : Recipe::GroupSums};
  return {format,
          format == lm::Format::BF16 ? target.recipe : Recipe::WidenFMA};
}

TileFamily TileFamily::forManyRows(const Target &target) const {
  TileFamily family = *this;
  family.takesMatrix =
      target.tileQuads && recipe == Recipe::GroupSums && !sumsWholeRows();
  return family;
}

/// Vectors that a tile of floats holds beside its sums: the line's, one step's
/// of them as f32 and a row's element, or (isByVector) the elements of all rows
/// and the steps of one vector.
static int64_t countOperands(const TileFamily &family, int64_t rows,
                             int64_t vectors, bool isByVector) {
  int64_t steps = family.stepsPerLine();
  return steps * (isByVector ? rows + 1 : vectors) + !isByVector;
}

bool TileBuilder::isByVector() const {
  int64_t byLine = countOperands(family, rows, vectors(), false);
  return rows * vectors() + byLine > e.target.registers &&
         countOperands(family, rows, vectors(), true) < byLine;
}

/// Shuffles that part pairs of f16 take registers of their own.
static constexpr int64_t kPartingRegisters = 3;

/// Sums and operands of a tile of floats.
static int64_t countRegisters(const Target &target, const TileFamily &family,
                              int64_t rows, int64_t panels) {
  int64_t vectors = panels * 16 / target.lanes;
  if (family.isDequantised()) {
    // Of each vector the line, its scale and minimum, and the weight; a row's
    // element, and what LLVM makes ahead of its use.
    bool hasMinimum = lm::QuantisedLayout::of(family.format).hasMinimum();
    return vectors * (rows + 3 + hasMinimum) + 3;
  }
  int64_t operands = countOperands(family, rows, vectors, false);
  if (!family.isPairs()) // whose weights always wait for row after row
    operands = std::min(operands, countOperands(family, rows, vectors, true));
  if (family.format == lm::Format::F16)
    operands += kPartingRegisters;
  return rows * vectors + operands;
}

/// Rows of a tile of integers that are scaled by groups. NEON adds four
/// products of bytes in three steps, or by one instruction.
static int64_t countGroupRows(const Target &target, lm::Format format) {
  ByteDot dot = byteDotOf(target, format);
  if (!target.isAArch64() || dot == ByteDot::Quads ||
      dot == ByteDot::SignedQuads)
    return 6;
  // What was looked up is widened, too, and LLVM does both for a whole line
  // before the first product.
  bool isWidened = dot == ByteDot::Pairs;
  return lm::QuantisedLayout::of(format).isTable() && isWidened ? 2 : 4;
}

bool TileFamily::holdsPanel(const Target &target) const {
  if (recipe != Recipe::GroupSums || target.isAArch64() ||
      target.registers >= 32)
    return false;
  ByteDot dot = byteDotOf(target, format);
  bool isTable = lm::QuantisedLayout::of(format).isTable();
  return dot == ByteDot::Narrow || (dot == ByteDot::Pairs && !isTable);
}

/// A tile of integers holds its sums over a group beside those in f32, unless
/// they are one sum. With 16 registers four rows hold those of both vectors of
/// a panel, which reads lines and rows once: faster than six rows of one vector
/// (AVX2, T=512: int4 70 -> 75 % of the ceiling on Zen 4; on Zen 3 int8 1.04
/// times, at T=128 1.08, mxfp4 1.07, int8_channel 1.18).
int64_t TileFamily::maxRows(const Target &target) const {
  if (isMatrix())
    return kMatrixRows;
  if (takesBlocks(target, kBlockRows))
    return kBlockRows;
  if (sumsWholeRows() && target.dotQuads)
    return target.maxTileRows();
  if (holdsPanel(target))
    return 4;
  if (recipe == Recipe::GroupSums)
    return countGroupRows(target, format);
  if (isDequantised()) {
    if (!target.isAArch64()) // AVX2 holds a vector's sums at a time
      return target.maxTileRows();
    // LLVM makes all weights of four columns first: more rows spill.
    auto layout = lm::QuantisedLayout::of(format);
    bool takesMore =
        layout.hasMinimum() || layout.isTable() || layout.spansRow();
    return takesMore ? 3 : 4;
  }
  // On AVX2 six rows of bf16 take one register too many (readsAgain).
  int64_t most = target.registers + !target.isAArch64();
  int64_t rows = target.maxTileRows();
  while (countRegisters(target, *this, rows, 1) > most)
    --rows;
  return rows;
}

/// Streams of floats of one row, by vectors of 8 lanes. Where memory answers
/// late, four keep more lines on their way than two (OLMoE's layer at T=1 on
/// Zen 3, the only one measured: bf16 80 -> 95 % of the read bandwidth, f16 74
/// -> 82). Of four lines
/// of 16 bits LLVM widens all before the first product: of bf16 it spills two
/// vectors for that, of f16 four; of three lines none.
static int64_t countNarrowStreams(const Target &target, lm::Format format) {
  if (target.isAArch64() && format != lm::Format::F32)
    return 2; // not measured
  return format == lm::Format::F16 ? 3 : 4;
}

/// The same of integers, of which x86 fetches nothing (leadOf): line by line
/// the machine's prefetchers follow four streams faster than each line is
/// fetched, and far faster than with a group's first lines fetched (OLMoE's
/// layer on Zen 3, the only one measured, T=1 in alternating rounds: int4 1.33
/// times as fast as pairs of which each line is fetched, int8 1.36; where first
/// lines are fetched int4 0.85).
static int64_t countIntegerStreams(const Target &target,
                                   const TileFamily &family, int64_t rows) {
  bool isMeasured = !target.isAArch64() && !family.isDequantised();
  if (!isMeasured || rows > 2)
    return 1;
  if (rows == 1)
    return 4;
  // Half of the sums of two rows x four panels wait in memory. It is faster
  // still (T=8: int8 1.34 times as fast as pairs, with two panels 1.11), but
  // not where what is looked up is widened, too. VPDPBUSD was not measured.
  ByteDot dot = byteDotOf(target, family.format);
  if (dot == ByteDot::Quads)
    return 2;
  bool isTable = lm::QuantisedLayout::of(family.format).isTable();
  return isTable && dot == ByteDot::Pairs ? 1 : 4;
}

int64_t moec::kernels::streamsOf(const Target &target, const TileFamily &family,
                                 int64_t rows) {
  bool isWide = target.lanes == 16;
  // One tile of rows leaves registers for the sums of four panels. Integers
  // take matrix tiles for many rows only.
  if (family.isMatrix())
    return family.takesMatrix || rows > kMatrixRows / 2
               ? 1
               : std::min<int64_t>(target.streamPanels, 4);
  // Sums of integers, or scales and weights, take as many registers as sums.
  if (lm::isQuantised(family.format)) {
    if (!isWide)
      return countIntegerStreams(target, family, rows);
    int64_t most = family.isDequantised() ? 4 : 8;
    // By VPDPBUSD bytes take one instruction a line and row: up to four rows
    // the machine's prefetcher feeds a tile faster than it may fetch itself
    // (OLMoE's layer at T=16 on Zen 4: int8 74 -> 81 % of the floor,
    // int8_channel 73 -> 84). Nibbles take more instructions a line: from three
    // rows on it is slower.
    bool isLight = family.recipe == Recipe::GroupSums &&
                   byteDotOf(target, family.format) == ByteDot::Quads &&
                   !lm::QuantisedLayout::of(family.format).isNibbles() &&
                   !target.prefetchLines;
    if (rows > (isLight ? 4 : 2))
      return 1;
    return std::min(target.streamPanels, std::max<int64_t>(most / rows, 2));
  }
  if (!isWide && rows == 1)
    return countNarrowStreams(target, family.format);
  if (!isWide)
    return rows == 2 ? 2 : 1;
  if (rows >= family.maxRows(target) / 2)
    return 1;
  // f16 takes so many instructions a line that two streams wait for each other.
  bool isSlow = rows > 2 || family.format == lm::Format::F16;
  return isSlow ? 4 : target.streamPanels;
}

/// Lines ahead that streams of integers fetch with vectors of 16 lanes where
/// they are not read in runs, of each group the first: enough to set the
/// machine's own prefetcher going before a page begins.
static constexpr int64_t kPageLead = 32;

/// Lines of integers, scales beside, that make a run: 8 groups of nibbles, 4 of
/// bytes, which are whole blocks of every format.
static constexpr int64_t kRunLines = 32;

int64_t moec::kernels::runOf(const Target &target, const TileFamily &family,
                             int64_t rows, bool asStream) {
  if (!asStream || target.lanes != 16 || target.prefetchLines ||
      family.recipe != Recipe::GroupSums || family.sumsWholeRows())
    return 0;
  auto layout = lm::QuantisedLayout::of(family.format);
  bool takesRuns = layout.isNibbles() || rows == 3;
  return takesRuns ? kRunLines / layout.groupLines : 0;
}

/// Whether a tile of `rows` rows is one of several of more rows, at times. One
/// matrix tile serves all.
static bool isPartOfBlocks(const Target &target, const TileFamily &family,
                           int64_t rows) {
  return !family.isMatrix() && rows >= (family.maxRows(target) + 1) / 2;
}

/// Whether streams fetch in another way than blocks of rows.
static bool areStreamsApart(const Target &target) {
  return !target.prefetchLines || // and may be read in runs
         target.prefetchLines != target.blockPrefetchLines ||
         target.blockPrefetchLevel != 1;
}

bool moec::kernels::fetchesAsStream(const Target &target,
                                    const TileFamily &family, int64_t rows,
                                    bool inStreams) {
  // One panel of integers alone is read at 8.5 GB/s where nothing is fetched,
  // at 11 where each line is (Zen 3).
  bool fetchesPairs = lm::isQuantised(family.format) && target.lanes != 16;
  return streamsOf(target, family, rows) > 1 &&
         (inStreams || !(fetchesPairs || isPartOfBlocks(target, family, rows)));
}

bool moec::kernels::fetchesEveryLine(const Target &target, bool asStream) {
  return !asStream || target.prefetchLines;
}

int64_t moec::kernels::leadOf(const Target &target, const TileFamily &family,
                              bool asStream) {
  if (!asStream)
    return target.blockPrefetchLines;
  if (lm::isQuantised(family.format) && !target.prefetchLines)
    return target.lanes == 16 ? kPageLead : 0;
  return target.prefetchLines;
}

/// Panels that one register tile holds; wider requests are made of several.
static int64_t tilePanels(const Target &target, const TileFamily &family,
                          int64_t rows, int64_t wanted, bool inStreams) {
  if (lm::isQuantised(family.format) && target.lanes != 16)
    return inStreams ? wanted : 1;
  if (family.recipe == Recipe::GroupSums)
    return wanted;
  while (wanted > 1 &&
         countRegisters(target, family, rows, wanted) > target.registers)
    wanted /= 2;
  return wanted;
}

Value TileBuilder::loadPairs(int64_t v, Value k) {
  int64_t perPanel = vectorsPerPanel(), pairLanes = 2 * e.lanes;
  Value column = e.index(v % perPanel * pairLanes);
  Type element = lm::getStorageType(family.format, e.b.getContext());
  return vector::LoadOp::create(e.b, e.loc,
                                VectorType::get({pairLanes}, element), bLines,
                                ValueRange{panelLine(v / perPanel, k), column});
}

/// The odd elements of pairs of bf16, as f32.
static Value widenOdd(Emitter &e, Value pairs) {
  Type i32 = e.vectorOf(e.b.getI32Type());
  Value odd =
      arith::AndIOp::create(e.b, e.loc, pairs, e.integer(i32, 0xffff0000));
  return arith::BitcastOp::create(e.b, e.loc, e.vectorType(), odd);
}

SmallVector<Value> TileBuilder::loadSteps(int64_t v, Value k) {
  int64_t perPanel = vectorsPerPanel();
  if (!halfWidth()) {
    Value column = e.index(v % perPanel * e.lanes);
    return {e.load(bLines, {panelLine(v / perPanel, k), column})};
  }
  Value pairs = loadPairs(v, k);
  if (family.format == lm::Format::BF16) {
    Type i32 = e.vectorOf(e.b.getI32Type());
    Value bits =
        vector::BitCastOp::create(e.b, e.loc, cast<VectorType>(i32), pairs);
    Value even = arith::ShLIOp::create(e.b, e.loc, bits, e.integer(i32, 16));
    return {arith::BitcastOp::create(e.b, e.loc, e.vectorType(), even),
            widenOdd(e, bits)};
  }
  SmallVector<Value> parts;
  auto split = vector::DeinterleaveOp::create(e.b, e.loc, pairs);
  for (Value part : split->getResults())
    parts.push_back(e.widen(part));
  return parts;
}

bool TileBuilder::readsAgain() const {
  return family.format == lm::Format::BF16 && !e.target.isAArch64() &&
         countRegisters(e.target, family, rows, panels) > e.target.registers;
}

Value TileBuilder::loadOddAgain(int64_t v, Value k) {
  int64_t perPanel = vectorsPerPanel();
  int64_t width = cast<MemRefType>(bLines.getType()).getDimSize(1);
  Value element = e.add(e.mul(panelLine(v / perPanel, k), width),
                        v % perPanel * 2 * e.lanes);
  return widenOdd(
      e, e.loadVolatile(e.vectorOf(e.b.getI32Type()), bLines, element));
}

Value TileBuilder::broadcastRow(int64_t row, Value element) {
  Value scalar =
      memref::LoadOp::create(e.b, e.loc, a, ValueRange{e.add(element, row)});
  return e.broadcast(scalar);
}

Value TileBuilder::fetchedLine(int64_t panel, Value k, int64_t lead) {
  if (panels <= 2) {
    Value step = arith::ShRUIOp::create(e.b, e.loc, e.mul(k, 2), shift);
    if (panels == 2)
      step = e.select(e.less(step, wrap), step, e.add(step, lines));
    return e.add(ahead[panel], step);
  }
  return panelLine(panel, e.add(k, lead));
}

void TileBuilder::prefetchPanel(int64_t panel, Value k) {
  int64_t ahead = lead();
  if (!ahead)
    return;
  int64_t level = asStream ? 1 : e.target.blockPrefetchLevel;
  memref::PrefetchOp::create(
      e.b, e.loc, bLines, ValueRange{fetchedLine(panel, k, ahead), e.index(0)},
      /*isWrite=*/false, /*localityHint=*/4 - level, /*isDataCache=*/true);
}

void TileBuilder::prefetch(Value k) {
  for (int64_t panel = 0; panel < panels; ++panel)
    prefetchPanel(panel, k);
}

TileBuilder TileBuilder::ofPanel(int64_t panel) {
  assert(!lead() && "the copy would fetch the first panel's lines");
  TileBuilder one = *this;
  one.panels = 1;
  one.line = panelLine(panel, e.index(0));
  return one;
}

SmallVector<Value> TileBuilder::addStep(Value k, ValueRange acc) {
  if (family.isDequantised())
    return accumulateDequantised(k, acc);
  return lm::isQuantised(family.format) ? accumulateGroup(k, acc)
                                        : accumulate(k, acc);
}

SmallVector<Value> TileBuilder::sumSteps(Value first, Value last,
                                         ValueRange acc) {
  return e.loop(first, last, 1, acc, [&](Value k, ValueRange carried) {
    return addStep(k, carried);
  });
}

SmallVector<Value> TileBuilder::sumInRuns(Value steps, ValueRange acc) {
  SmallVector<TileBuilder> ones;
  for (int64_t p = 0; p < panels; ++p)
    ones.push_back(ofPanel(p));
  int64_t each = vectorsPerPanel();
  auto addRun = [&](Value first, ValueRange before) {
    Value last = e.min(e.add(first, runSteps()), steps);
    SmallVector<Value> next(before);
    for (auto [p, one] : llvm::enumerate(ones)) {
      auto place = [&, p = p](int64_t i) -> Value & {
        return next[i / each * vectors() + p * each + i % each];
      };
      SmallVector<Value> own;
      for (int64_t i = 0; i < rows * each; ++i)
        own.push_back(place(i));
      own = one.sumSteps(first, last, own);
      for (auto [i, sum] : llvm::enumerate(own))
        place(i) = sum;
    }
    return next;
  };
  return e.loop(e.index(0), steps, runSteps(), acc, addRun);
}

SmallVector<Value> TileBuilder::multiply() {
  if (family.sumsWholeRows())
    return sumWholeRows();
  if (family.takesBlocks(e.target, rows))
    return multiplyBlocks();
  Value steps = lm::isQuantised(family.format) ? countGroups() : lines;
  SmallVector<Value> zeros(rows * vectors(), e.splat(0.0));
  return runSteps() ? sumInRuns(steps, zeros)
                    : sumSteps(e.index(0), steps, zeros);
}

SmallVector<Value> TileBuilder::accumulate(Value k, ValueRange carried) {
  SmallVector<Value> acc(carried);
  int64_t n = vectors();
  // By vector the rows' elements come first, and no place is left.
  int64_t slots = family.isPairs() ? rows : isByVector() ? 0 : rows * steps();
  if (!fetchesBetween(slots))
    prefetch(k);
  auto fetchBehind = [&](int64_t slot) {
    for (int64_t panel = 0; panel < panels; ++panel)
      if (fetchesBehind(slot, slots, panel))
        prefetchPanel(panel, k);
  };
  if (family.isPairs()) {
    SmallVector<Value> weights;
    for (int64_t v = 0; v < n; ++v)
      weights.push_back(loadPairs(v, k));
    Value element = e.add(aOffset, e.mul(k, rows));
    for (int64_t r = 0; r < rows; ++r) {
      Value row = broadcastRow(r, element);
      for (int64_t v = 0; v < n; ++v)
        acc[r * n + v] = emitDotPairs(e, acc[r * n + v], row, weights[v]);
      fetchBehind(r);
    }
    return acc;
  }
  auto rowElement = [&](int64_t s, int64_t r) {
    Value first = e.add(aOffset, e.add(e.mul(k, rows * steps()), s * rows));
    return broadcastRow(r, first);
  };
  if (isByVector()) {
    SmallVector<Value> row;
    for (int64_t i = 0; i < steps() * rows; ++i)
      row.push_back(rowElement(i / rows, i % rows));
    for (int64_t v = 0; v < n; ++v)
      for (auto [s, weight] : llvm::enumerate(loadSteps(v, k)))
        for (int64_t r = 0; r < rows; ++r)
          acc[r * n + v] = e.fma(row[s * rows + r], weight, acc[r * n + v]);
    return acc;
  }
  SmallVector<SmallVector<Value>> weights;
  for (int64_t v = 0; v < n; ++v)
    weights.push_back(loadSteps(v, k));
  for (int64_t s = 0; s < steps(); ++s) {
    if (s && readsAgain())
      for (int64_t v = 0; v < n; ++v)
        weights[v][s] = loadOddAgain(v, k);
    for (int64_t r = 0; r < rows; ++r) {
      Value row = rowElement(s, r);
      for (int64_t v = 0; v < n; ++v)
        acc[r * n + v] = e.fma(row, weights[v][s], acc[r * n + v]);
      fetchBehind(s * rows + r);
    }
  }
  return acc;
}

std::string TileFamily::name() const {
  std::string name = lm::stringifyFormat(format).str();
  if (isMatrix())
    return name + "_amx";
  if (format == lm::Format::F32 || recipe == Recipe::GroupSums)
    return name;
  return name + (isPairs() ? "_dot" : "_widen");
}

/// Types of (A, aOffset, B, line, lines, stride, ahead, ahead', shift, wrap, C,
/// cOffset).
static SmallVector<Type> tileArguments(OpBuilder &b, const TileFamily &family) {
  Type element = lm::getStorageType(family.format, b.getContext());
  int64_t width = 64 * 8 / element.getIntOrFloatBitWidth();
  Type index = b.getIndexType();
  auto dynamic = ShapedType::kDynamic;
  return {MemRefType::get({dynamic}, family.rowElement(b)),
          index,
          MemRefType::get({dynamic, width}, element),
          index,
          index,
          index,
          index,
          index,
          index,
          index,
          MemRefType::get({dynamic}, b.getF32Type()),
          index};
}

func::FuncOp moec::kernels::beginTileFunction(OpBuilder &b, ModuleOp module,
                                              StringRef name,
                                              const TileFamily &family,
                                              bool asks) {
  SmallVector<Type> arguments = tileArguments(b, family);
  if (asks)
    arguments.insert(arguments.begin(), b.getIndexType());
  b.setInsertionPointToEnd(module.getBody());
  auto function =
      func::FuncOp::create(b, module.getLoc(), name,
                           FunctionType::get(b.getContext(), arguments, {}));
  function.setPrivate();
  b.setInsertionPointToStart(function.addEntryBlock());
  return function;
}

TileBuilder TileBuilder::of(Emitter &e, const TileFamily &family, int64_t rows,
                            int64_t panels, bool asStream, ValueRange args) {
  return {e,       family,  rows,    panels,  asStream, args[0],
          args[1], args[2], args[3], args[4], args[5],  {args[6], args[7]},
          args[8], args[9]};
}

static func::FuncOp getTile(ModuleOp module, const Target &target,
                            const TileFamily &family, int64_t rows,
                            int64_t panels, bool inStreams) {
  bool asStream = fetchesAsStream(target, family, rows, inStreams);
  std::string name = "tile_" + family.name() + "_" + std::to_string(rows) +
                     "x" + std::to_string(panels * 16);
  if (asStream && isPartOfBlocks(target, family, rows) &&
      areStreamsApart(target))
    name += "_stream";
  if (auto known = module.lookupSymbol<func::FuncOp>(name))
    return known;
  OpBuilder b(module.getContext());
  auto function = beginTileFunction(b, module, name, family, /*asks=*/false);
  function->setAttr("lm.tile", b.getDenseI64ArrayAttr({rows, panels}));
  Emitter e(b, function.getLoc(), target);
  auto args = function.getArguments();
  TileBuilder tile = TileBuilder::of(e, family, rows, panels, asStream, args);
  Value cOffset = args.back();
  SmallVector<Value> acc = tile.multiply();
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t v = 0; v < tile.vectors(); ++v) {
      int64_t perPanel = tile.vectorsPerPanel();
      int64_t offset = (v / perPanel * rows + r) * 16 + v % perPanel * e.lanes;
      e.store(acc[r * tile.vectors() + v], args[10], {e.add(cOffset, offset)});
    }
  func::ReturnOp::create(b, e.loc);
  return function;
}

/// Calls the tiles that make up a pair of panels, or one of each stream, of
/// `rows` rows.
static void callTiles(Emitter &e, ModuleOp module, const TileFamily &family,
                      int64_t rows, bool inStreams, ValueRange args) {
  int64_t panels = inStreams ? streamsOf(e.target, family, rows) : 2;
  int64_t each = tilePanels(e.target, family, rows, panels, inStreams);
  func::FuncOp tile = getTile(module, e.target, family, rows, each, inStreams);
  for (int64_t p = 0; p < panels; p += each) {
    SmallVector<Value> operands(args);
    operands[3] = p ? e.add(args[3], e.mul(args[5], p)) : args[3];
    if (p % 2) // the second of two tiles fetches what is the second's
      operands[6] = args[7];
    operands.back() = e.add(args.back(), p * rows * 16);
    func::CallOp::create(e.b, e.loc, tile, operands);
  }
}

func::FuncOp moec::kernels::getTileDispatch(ModuleOp module,
                                            const Target &target,
                                            const TileFamily &family,
                                            bool inStreams) {
  if (family.isMatrix())
    return getMatrixDispatch(module, target, family, inStreams);
  std::string name =
      std::string(inStreams ? "tiles_streams_" : "tiles_pair_") + family.name();
  if (auto known = module.lookupSymbol<func::FuncOp>(name))
    return known;
  OpBuilder b(module.getContext());
  auto function = beginTileFunction(b, module, name, family, /*asks=*/true);
  Emitter e(b, function.getLoc(), target);
  SmallVector<int64_t> cases;
  for (int64_t r = 1; r <= family.maxRows(target); ++r)
    if (!inStreams || streamsOf(target, family, r) > 1)
      cases.push_back(r);
  auto sw = scf::IndexSwitchOp::create(
      b, e.loc, TypeRange(), function.getArgument(0), cases, cases.size());
  func::ReturnOp::create(b, e.loc);
  for (auto [i, rows] : llvm::enumerate(cases)) {
    b.setInsertionPointToStart(&sw.getCaseRegions()[i].emplaceBlock());
    callTiles(e, module, family, rows, inStreams,
              function.getArguments().drop_front());
    scf::YieldOp::create(b, e.loc);
  }
  b.setInsertionPointToStart(&sw.getDefaultRegion().emplaceBlock());
  scf::YieldOp::create(b, e.loc);
  return function;
}
