//===- PackWeights.cpp - weights in the layout that kernels read
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/Transforms/Passes.h"

#include "dialects/LM/IR/WeightFormat.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MOEPACKWEIGHTS
#include "dialects/MoE/Transforms/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {
/// Changes types of weights throughout a module.
class WeightPacker {
public:
  explicit WeightPacker(ModuleOp module) : module(module) {}

  LogicalResult run();

private:
  LogicalResult packOperands(Operation *op);
  LogicalResult pack(Operation *user, Value weight, lm::Layout layout,
                     std::optional<lm::Format> format = {});
  LogicalResult packArgument(Operation *user, BlockArgument argument,
                             lm::PackedType type);

  ModuleOp module;
};
} // namespace

LogicalResult WeightPacker::packArgument(Operation *user,
                                         BlockArgument argument,
                                         lm::PackedType type) {
  auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  if (!function)
    return user->emitOpError("a weight must be an argument of a function or "
                             "the result of lm.weight");
  unsigned number = argument.getArgNumber();
  argument.setType(type);
  SmallVector<Type> inputs(function.getArgumentTypes());
  inputs[number] = type;
  function.setFunctionType(FunctionType::get(module.getContext(), inputs,
                                             function.getResultTypes()));
  function.removeArgAttr(number, lm::kFormatAttr);
  std::optional<SymbolTable::UseRange> uses =
      SymbolTable::getSymbolUses(function, module);
  if (!uses)
    return function.emitOpError("has uses that cannot be known");
  for (SymbolTable::SymbolUse use : *uses)
    if (auto call = dyn_cast<func::CallOp>(use.getUser()))
      if (failed(pack(call, call.getOperand(number), type.getLayout(),
                      type.getFormat())))
        return failure();
  return success();
}

/// `format` is the callee's, of an operand of a call; else what the weight
/// itself says.
LogicalResult WeightPacker::pack(Operation *user, Value weight,
                                 lm::Layout layout,
                                 std::optional<lm::Format> format) {
  if (auto known = dyn_cast<lm::PackedType>(weight.getType())) {
    if (known.getLayout() != layout)
      return user->emitOpError("needs a weight in layout ")
             << lm::stringifyLayout(layout) << " that another use needs in "
             << lm::stringifyLayout(known.getLayout());
    // An argument is in the format that it says; what lm.weight reads is in
    // that of the callees to which it goes, and has no other use.
    bool isRead = !format && known.isQuantised() && !isa<BlockArgument>(weight);
    if (isRead || (format && known.getFormat() != *format))
      return user->emitOpError("needs a weight in another format than ")
             << lm::stringifyFormat(known.getFormat())
             << ", which another use needs";
    return success();
  }
  auto tensor = dyn_cast<RankedTensorType>(weight.getType());
  if (!tensor || !tensor.hasStaticShape())
    return user->emitOpError("a weight must have a static shape, got ")
           << weight.getType();
  std::optional<lm::Format> own = lm::getWeightFormat(weight);
  if (format && format != own && isa<BlockArgument>(weight))
    return user->emitOpError("needs a weight in format ")
           << lm::stringifyFormat(*format)
           << ", which the function's argument does not have (lm.format)";
  if (!format)
    format = own;
  if (!format)
    return user->emitOpError("packed weight: element type must be f32, bf16 "
                             "or f16, got ")
           << tensor.getElementType();
  auto type = lm::PackedType::getChecked([&] { return user->emitOpError(); },
                                         module.getContext(), tensor.getShape(),
                                         *format, layout);
  if (!type)
    return failure();
  if (auto argument = dyn_cast<BlockArgument>(weight))
    return packArgument(user, argument, type);
  auto read = weight.getDefiningOp<lm::WeightOp>();
  if (!read)
    return user->emitOpError("a weight must be an argument of a function or "
                             "the result of lm.weight");
  read.getResult().setType(type);
  auto declaration = SymbolTable::lookupNearestSymbolFrom<lm::WeightsOp>(
      read, read.getNameAttr());
  if (declaration.getType() != type &&
      isa<lm::PackedType>(declaration.getType()))
    return user->emitOpError("weight ")
           << read.getName() << " is used in two layouts or formats";
  declaration.setType(type);
  return success();
}

LogicalResult WeightPacker::packOperands(Operation *op) {
  using lm::Layout;
  auto packAll = [&](ArrayRef<Value> weights, Layout layout) -> LogicalResult {
    for (Value weight : weights)
      if (weight && failed(pack(op, weight, layout)))
        return failure();
    return success();
  };
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](lm::LinearOp linear) -> LogicalResult {
        if (failed(packAll({linear.getWeight()}, Layout::Panel)))
          return failure();
        return packAll({linear.getBias()}, Layout::RowMajor);
      })
      .Case([&](lm::GatedLinearOp linear) {
        return packAll({linear.getWeight()}, Layout::PairedPanel);
      })
      .Case([&](lm::EmbeddingOp embedding) {
        return packAll({embedding.getTable()}, Layout::RowMajor);
      })
      .Case([&](lm::RMSNormOp norm) {
        return packAll({norm.getWeight()}, Layout::RowMajor);
      })
      .Case([&](lm::LayerNormOp norm) {
        return packAll({norm.getWeight(), norm.getBias()}, Layout::RowMajor);
      })
      .Case([&](lm::RopeTableOp table) {
        return packAll({table.getInvFreq()}, Layout::RowMajor);
      })
      .Case([&](lm::AttentionOp attention) {
        return packAll({attention.getSinks()}, Layout::RowMajor);
      })
      .Case([&](RouterOp router) {
        return packAll({router.getBias()}, Layout::RowMajor);
      })
      .Case([&](RouteOp route) -> LogicalResult {
        // Its projection reads rows of floats (docs/numerics.md).
        auto format = lm::getWeightFormat(route.getGate());
        if (format && lm::isQuantised(*format))
          return route.emitOpError("a router's weight cannot be quantised, got "
                                   "format ")
                 << lm::stringifyFormat(*format);
        if (failed(packAll({route.getGate()}, Layout::Panel)))
          return failure();
        return packAll({route.getBias()}, Layout::RowMajor);
      })
      .Case([&](GroupedMatmulOp grouped) -> LogicalResult {
        bool paired = grouped.getFunction() || grouped.getPaired();
        if (failed(packAll({grouped.getWeight()},
                           paired ? Layout::PairedPanel : Layout::Panel)))
          return failure();
        return packAll({grouped.getBias()}, Layout::RowMajor);
      })
      .Case([&](ExpertFFNOp ffn) -> LogicalResult {
        if (failed(packAll({ffn.getGateUp()}, Layout::PairedPanel)))
          return failure();
        return packAll({ffn.getDown()}, Layout::Panel);
      })
      .Case([&](CombineOp combine) {
        return packAll({combine.getBias()}, Layout::RowMajor);
      })
      .Default([](Operation *) { return success(); });
}

/// Packing takes `lm.format` away; what is left of it was in vain.
static LogicalResult verifyFormatsUsed(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (function.getArgAttr(i, lm::kFormatAttr))
        return function.emitOpError("(format_c1) lm.format of argument ")
               << i << ": no product reads it as a weight";
  return success();
}

LogicalResult WeightPacker::run() {
  WalkResult packed = module.walk([&](Operation *op) {
    return failed(packOperands(op)) ? WalkResult::interrupt()
                                    : WalkResult::advance();
  });
  return packed.wasInterrupted() ? failure() : verifyFormatsUsed(module);
}

namespace {
struct PackWeightsPass : moe::impl::MoEPackWeightsBase<PackWeightsPass> {
  void runOnOperation() override {
    if (failed(WeightPacker(getOperation()).run()))
      return signalPassFailure();
    // A weight may have other users, which do not take it packed.
    if (failed(verify(getOperation())))
      signalPassFailure();
  }
};
} // namespace
