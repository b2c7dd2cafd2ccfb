//===- LayerSignature.cpp - Public functions of a graph, as C sees them ---===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "LayerSignature.h"

#include "Diagnostics.h"
#include "dialects/LM/IR/LMDialect.h"
#include "dialects/MoE/IR/MoEDialect.h"
#include "dialects/MoE/Transforms/BufferContext.h"
#include "dialects/MoE/Transforms/Passes.h"
#include "moe/Pipelines/Pipelines.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace moec;

std::vector<const LayerValue *> LayerSignature::weights() const {
  std::vector<const LayerValue *> result;
  for (const LayerValue &argument : arguments)
    if (argument.kind == LayerValue::Weight)
      result.push_back(&argument);
  return result;
}

bool LayerSignature::hasState() const {
  return llvm::any_of(arguments, [](const LayerValue &argument) {
    return argument.kind == LayerValue::State;
  });
}

bool LayerSignature::isEmptyWithoutTokens() const {
  return !hasState() && llvm::all_of(results, [](const LayerValue &result) {
    return result.rows.kind == RowCount::PerToken;
  });
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

/// Words that C or C++ keeps for itself.
static bool isKeyword(StringRef name) {
  static const llvm::StringSet<> words = {
      "alignas",  "alignof",  "and",      "asm",       "auto",    "bool",
      "break",    "case",     "catch",    "char",      "class",   "const",
      "continue", "decltype", "default",  "delete",    "do",      "double",
      "else",     "enum",     "explicit", "export",    "extern",  "false",
      "float",    "for",      "friend",   "goto",      "if",      "inline",
      "int",      "long",     "mutable",  "namespace", "new",     "noexcept",
      "not",      "nullptr",  "operator", "or",        "private", "protected",
      "public",   "register", "requires", "restrict",  "return",  "short",
      "signed",   "sizeof",   "static",   "struct",    "switch",  "template",
      "this",     "throw",    "true",     "try",       "typedef", "typename",
      "union",    "unsigned", "using",    "virtual",   "void",    "volatile",
      "while",    "xor",      "main",     "memcpy",    "memset"};
  return words.contains(name);
}

static bool isIdentifier(StringRef name) {
  return !name.empty() && !llvm::isDigit(name[0]) && !isKeyword(name) &&
         llvm::all_of(name,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

/// Names that generated code or its libraries use.
static bool isReserved(StringRef name) {
  for (StringRef prefix :
       {"kernel_", "tile_", "tiles_", "record_", "moe_", "omp_", "_"})
    if (name.starts_with(prefix))
      return true;
  return false;
}

/// Gives every argument and result a name of its own that C accepts.
static void nameValues(LayerSignature &signature) {
  llvm::StringSet<> taken;
  for (StringRef name : {"tokens", "positions", "arena", "threads"})
    taken.insert(name);
  auto settle = [&](LayerValue &value, StringRef prefix, size_t number) {
    for (char &c : value.name)
      if (!llvm::isAlnum(c))
        c = '_';
    if (!isIdentifier(value.name))
      value.name = (prefix + llvm::Twine(number)).str();
    // Upper case names the numbers of weights.
    while (!taken.insert(StringRef(value.name).lower()).second)
      value.name += "_";
  };
  for (auto [i, argument] : llvm::enumerate(signature.arguments))
    settle(argument, "arg", i);
  for (auto [i, result] : llvm::enumerate(signature.results))
    settle(result, "out", i);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

namespace {
/// Finds the number of rows of every tensor in a function in value form.
class RowAnalysis {
public:
  explicit RowAnalysis(func::FuncOp function);
  std::optional<RowCount> rowsOf(Value value) const {
    auto it = rows.find(value);
    return it == rows.end() ? std::nullopt : std::optional(it->second);
  }

private:
  void visitResult(Operation &op, OpResult result);

  DenseMap<Value, RowCount> rows;
};
} // namespace

static RowCount fixedRows(int64_t count) { return {RowCount::Fixed, count}; }

RowAnalysis::RowAnalysis(func::FuncOp function) {
  for (BlockArgument argument : function.getArguments())
    if (auto type = dyn_cast<RankedTensorType>(argument.getType()))
      rows[argument] = type.getRank() && type.isDynamicDim(0)
                           ? RowCount{RowCount::PerToken, 1}
                           : fixedRows(type.getRank() ? type.getDimSize(0) : 1);
  for (Operation &op : function.getBody().front())
    for (OpResult result : op.getResults())
      visitResult(op, result);
}

void RowAnalysis::visitResult(Operation &op, OpResult result) {
  if (auto type = dyn_cast<RankedTensorType>(result.getType()))
    if (type.hasStaticShape()) {
      rows[result] = fixedRows(type.getRank() ? type.getDimSize(0) : 1);
      return;
    }
  if (auto last = dyn_cast<lm::LastRowsOp>(op)) {
    if (auto argument = dyn_cast<BlockArgument>(op.getOperand(1)))
      rows[result] = {RowCount::Argument, argument.getArgNumber()};
    return;
  }
  Value base;
  int64_t factor = 1;
  if (auto twoForms = dyn_cast<lm::TwoFormsOpInterface>(op)) {
    base = op.getOperand(twoForms.getRowsOperand(result.getResultNumber()));
    factor = twoForms.getRowsPerToken(result.getResultNumber());
  } else if (isa<mlir::moe::LayerOp>(op)) {
    base = op.getOperand(0);
  }
  std::optional<RowCount> known = base ? rowsOf(base) : std::nullopt;
  if (!known || (known->kind == RowCount::Argument && factor != 1))
    return;
  if (known->kind != RowCount::Argument)
    known->value *= factor;
  rows[result] = *known;
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

static bool hasElementOfC(Type type) {
  return type.isF32() || type.isBF16() || type.isF16() || type.isInteger(32) ||
         type.isInteger(64) || type.isInteger(8);
}

static bool isTensorOfC(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !hasElementOfC(tensor.getElementType()))
    return false;
  // 2^24 tokens of so much still fit in an arena counted by 64 bits.
  constexpr int64_t maxColumns = int64_t(1) << 30;
  int64_t columns = 1;
  for (int64_t i = 1; i < tensor.getRank(); ++i) {
    if (tensor.isDynamicDim(i))
      return false;
    if (tensor.isDynamicDim(0) &&
        (llvm::MulOverflow(columns, tensor.getDimSize(i), columns) ||
         columns > maxColumns))
      return false;
  }
  return true;
}

constexpr const char *expectedTensor =
    "expected a tensor of f32, bf16, f16 or integers whose columns are static "
    "and at most 2^30";

static std::string show(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

static std::string placeOf(func::FuncOp function) {
  std::string place = describeLocation(function.getLoc());
  return (place.empty() ? "" : place + ": ") + "function '" +
         function.getName().str() + "': ";
}

static llvm::Error checkArguments(func::FuncOp function) {
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
    if (!isTensorOfC(type) && !isa<lm::StateType, IndexType>(type) &&
        !type.isInteger(32) && !type.isInteger(64))
      return makeError(placeOf(function) + "argument " + llvm::Twine(i) +
                       " has type " + show(type) + "; " + expectedTensor +
                       ", an !lm.state, index, i32 or i64");
  for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
    if (!isTensorOfC(type))
      return makeError(placeOf(function) + "result " + llvm::Twine(i) +
                       " has type " + show(type) + "; " + expectedTensor);
  return llvm::Error::success();
}

static llvm::Error checkFunction(func::FuncOp function) {
  StringRef name = function.getName();
  if (!isIdentifier(name) || isReserved(name))
    return makeError(placeOf(function) +
                     "expected a name that C accepts and that generated code "
                     "does not use");
  if (function.isExternal())
    return makeError(placeOf(function) + "has no body");
  if (function->hasAttr(mlir::moe::kStepAttr))
    return makeError(placeOf(function) +
                     "is a model's step; expected functions without lm.step");
  if (!llvm::hasSingleElement(function.getBody()))
    return makeError(placeOf(function) + "expected one block");
  Operation *outside = nullptr;
  function.walk([&](Operation *op) {
    if (isa<lm::WeightOp, lm::LayerStateOp, mlir::moe::RecordOp>(op))
      outside = op;
  });
  if (outside)
    return makeError(placeOf(function) + "'" +
                     outside->getName().getStringRef() +
                     "' only has a meaning in a model's step; expected weights "
                     "and state as arguments");
  return checkArguments(function);
}

//===----------------------------------------------------------------------===//
// Signatures
//===----------------------------------------------------------------------===//

static llvm::Error unknownRows(func::FuncOp function, size_t number,
                               Value result) {
  std::string place = describeLocation(result.getLoc());
  std::string maker;
  if (Operation *op = result.getDefiningOp())
    maker = (", which '" + op->getName().getStringRef() + "' makes,").str();
  return makeError((place.empty() ? "" : place + ": ") + "function '" +
                   function.getName() + "': result " + llvm::Twine(number) +
                   maker +
                   " has a number of rows that follows from no "
                   "argument");
}

static llvm::Expected<LayerSignature> describeFunction(func::FuncOp function,
                                                       const GraphFile &graph) {
  LayerSignature signature;
  signature.name = function.getName().str();
  RowAnalysis rows(function);
  auto names = graph.argumentNames.find(function.getName());
  for (BlockArgument argument : function.getArguments()) {
    LayerValue value{LayerValue::Scalar, "", argument.getType(), {}, {}};
    if (names != graph.argumentNames.end())
      value.name = names->second[argument.getArgNumber()];
    if (isa<lm::StateType>(value.type))
      value.kind = LayerValue::State;
    if (isa<RankedTensorType>(value.type)) {
      value.kind = LayerValue::Rows;
      value.rows = *rows.rowsOf(argument);
    }
    signature.arguments.push_back(value);
  }
  auto ret = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  for (auto [i, result] : llvm::enumerate(ret.getOperands())) {
    // What no op writes is copied, as rows of floats.
    bool isWritten =
        result.getDefiningOp() &&
        !llvm::is_contained(ret.getOperands().take_front(i), result);
    if (!isWritten &&
        !isa<FloatType>(
            cast<RankedTensorType>(result.getType()).getElementType()))
      return makeError(placeOf(function) + "result " + llvm::Twine(i) +
                       " is an argument or returned twice; expected a value "
                       "of its own, or floats");
    std::optional<RowCount> count = rows.rowsOf(result);
    if (!count)
      return unknownRows(function, i, result);
    signature.results.push_back(
        {LayerValue::Rows, "", result.getType(), {}, *count});
  }
  nameValues(signature);
  return signature;
}

/// Learns from the passes themselves which arguments are weights, and in which
/// layout.
static llvm::Error findWeights(const GraphFile &graph,
                               LayerSignatures &signatures) {
  ModuleOp original = *graph.module;
  OwningOpRef<ModuleOp> copy = original.clone();
  ErrorCollector errors(*original.getContext());
  PassManager pm(original.getContext());
  pm.enableVerifier(false);
  addPhase(pm, Phase::MoE);
  addPhase(pm, Phase::Fused);
  pm.addPass(mlir::moe::createMoESplitPhases());
  pm.addPass(mlir::moe::createMoEPackWeights());
  if (failed(pm.run(*copy)))
    return errors.take("the graph cannot be compiled");
  for (LayerSignature &signature : signatures) {
    auto function = copy->lookupSymbol<func::FuncOp>(signature.name);
    for (auto [argument, type] :
         llvm::zip(signature.arguments, function.getArgumentTypes()))
      if (auto packed = dyn_cast<lm::PackedType>(type)) {
        argument.kind = LayerValue::Weight;
        argument.packed = packed;
      }
  }
  return llvm::Error::success();
}

llvm::Expected<LayerSignatures> moec::collectLayers(const GraphFile &graph) {
  LayerSignatures signatures;
  llvm::StringSet<> exported;
  ModuleOp module = *graph.module;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isPrivate())
      continue;
    if (llvm::Error error = checkFunction(function))
      return error;
    for (StringRef suffix : kLayerSuffixes)
      if (!exported.insert((function.getName() + suffix).str()).second)
        return makeError(placeOf(function) + "'" + function.getName() + suffix +
                         "' would be exported twice");
    llvm::Expected<LayerSignature> signature =
        describeFunction(function, graph);
    if (!signature)
      return signature.takeError();
    signatures.push_back(std::move(*signature));
  }
  if (signatures.empty())
    return makeError(describeLocation(module.getLoc()) +
                     ": the graph has no public function");
  if (llvm::Error error = findWeights(graph, signatures))
    return error;
  return signatures;
}
