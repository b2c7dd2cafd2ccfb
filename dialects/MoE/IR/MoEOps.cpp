//===- MoEOps.cpp - Verifiers and effects of moe ops ----------------------===//
//
// Part of moe-mlir. Labels such as (router_c1) are those of the op's
// documentation in MoEOps.td.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/IR/MoEDialect.h"

#include "dialects/LM/IR/ShapeChecks.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace mlir::moe;
using lm::agree;
using lm::columnsOf;
using lm::differ;
using lm::getWeightShape;
using lm::resultOf;
using lm::rowsOf;
using lm::sameShape;
using lm::verifyElements;
using lm::verifySingleResult;
using lm::weightOfRank;

#define GET_OP_CLASSES
#include "dialects/MoE/IR/MoEOps.cpp.inc"

namespace {
using Effects =
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;
} // namespace

// An op that reads where a value points to may not run where it did not.
#define TWO_FORMS(OP, IS_SPECULATABLE)                                         \
  void OP::getEffects(Effects &effects) {                                      \
    lm::getTwoFormsEffects(*this, effects);                                    \
  }                                                                            \
  Speculation::Speculatability OP::getSpeculatability() {                      \
    return IS_SPECULATABLE ? lm::getTwoFormsSpeculatability(*this)             \
                           : Speculation::NotSpeculatable;                     \
  }                                                                            \
  LogicalResult OP::reifyResultShapes(OpBuilder &builder,                      \
                                      ReifiedRankedShapedTypeDims &shapes) {   \
    return lm::reifyTwoFormsShapes(*this, builder, shapes);                    \
  }
TWO_FORMS(RouterOp, !getStaticIds())
TWO_FORMS(DispatchOp, false)
TWO_FORMS(RouteOp, true)
TWO_FORMS(GroupedMatmulOp, true)
TWO_FORMS(ExpertFFNOp, true)
TWO_FORMS(CombineOp, true)
// Their ids are places in a table.
TWO_FORMS(LoadBalanceLossOp, false)
TWO_FORMS(ZLossOp, true)
TWO_FORMS(ImportanceLossOp, false)
#undef TWO_FORMS

/// Buffers that stand for a plan in buffer form.
static constexpr size_t kPlanBuffers = 4;

/// Rows of what is made once a token and slot.
static int64_t timesSlots(int64_t rows, int64_t slots) {
  return ShapedType::isDynamic(rows) ? rows : rows * slots;
}

/// Checks that a plan is one value or four buffers. `planType` stays null in
/// buffer form, where the type is no longer known.
static LogicalResult verifyPlan(Operation *op, StringRef label, ValueRange plan,
                                PlanType &planType) {
  if (plan.size() == 1)
    planType = dyn_cast<PlanType>(plan.front().getType());
  bool isBuffers =
      plan.size() == kPlanBuffers && llvm::all_of(plan, [](Value value) {
        return isa<MemRefType>(value.getType());
      });
  if (planType || isBuffers)
    return success();
  return op->emitOpError() << "(" << label << ") expected one plan or its "
                           << kPlanBuffers << " buffers, got " << plan.size()
                           << " operands";
}

/// Checks that a bias is there exactly when the router selects by it.
static LogicalResult verifyBias(Operation *op, StringRef label, Value bias,
                                RouterConfigAttr config, int64_t experts) {
  bool wanted = config.getSelect() == SelectKey::ByBiasedScore;
  if (wanted != bool(bias))
    return op->emitOpError() << "(" << label << ") "
                             << (wanted ? "select = biased_score needs a bias"
                                        : "a bias needs select = biased_score");
  return verifyElements(op, label, "the bias", bias, experts);
}

static LogicalResult verifyConfig(Operation *op, StringRef label,
                                  RouterConfigAttr config, int64_t experts) {
  return config.verifyExperts(
      [&] { return op->emitOpError() << "(" << label << ") "; }, experts);
}

//===----------------------------------------------------------------------===//
// LayerOp
//===----------------------------------------------------------------------===//

static LogicalResult verifySharedExpert(LayerOp op, int64_t hidden) {
  if (!op.getSharedGateUp() || !op.getSharedDown()) {
    if (op.getSharedGateUp() || op.getSharedDown() || op.getSharedGate())
      return op.emitOpError("(layer_c7) a shared expert needs gate_up and "
                            "down");
    return success();
  }
  auto gateUp = weightOfRank(op, "layer_c7", op.getSharedGateUp(), 2);
  auto down = weightOfRank(op, "layer_c7", op.getSharedDown(), 2);
  if (failed(gateUp) || failed(down))
    return failure();
  if ((*gateUp)[1] != hidden || (*down)[0] != hidden || (*gateUp)[0] % 2 ||
      (*gateUp)[0] / 2 != (*down)[1])
    return op.emitOpError("(layer_c7) shared expert must be [2S,D] and [D,S] "
                          "with D = ")
           << hidden << ", got " << op.getSharedGateUp().getType() << " and "
           << op.getSharedDown().getType();
  if (Value gate = op.getSharedGate())
    if (getWeightShape(gate.getType()) != ArrayRef<int64_t>{1, hidden})
      return op.emitOpError("(layer_c7) the shared gate must be [1,")
             << hidden << "], got " << gate.getType();
  return success();
}

LogicalResult LayerOp::verify() {
  auto gate = weightOfRank(*this, "layer_c1", getGate(), 2);
  auto gateUp = weightOfRank(*this, "layer_c1", getGateUp(), 3);
  auto down = weightOfRank(*this, "layer_c1", getDown(), 3);
  if (failed(gate) || failed(gateUp) || failed(down))
    return failure();
  int64_t hidden = columnsOf(getX());
  if (ShapedType::isDynamic(hidden) || (*gate)[1] != hidden ||
      (*gateUp)[2] != hidden || (*down)[1] != hidden)
    return emitOpError("(layer_c1) columns of gate and gate_up and rows of "
                       "down must be the columns of x, static, got ")
           << getX().getType();
  int64_t experts = (*gate)[0];
  if ((*gateUp)[0] != experts || (*down)[0] != experts)
    return emitOpError("(layer_c2) gate, gate_up and down must have one number "
                       "of experts, got ")
           << experts << ", " << (*gateUp)[0] << " and " << (*down)[0];
  if ((*gateUp)[1] % 2 || (*gateUp)[1] / 2 != (*down)[2])
    return emitOpError("(layer_c3) rows of gate_up (")
           << (*gateUp)[1] << ") must be twice the columns of down ("
           << (*down)[2] << ")";
  Type element = getResult().getType().getElementType();
  if (columnsOf(getResult()) != hidden || !sameShape(getX(), getResult()) ||
      !(element.isF32() || element == getElementTypeOrSelf(getX())))
    return emitOpError("(layer_c4) the result must have the shape of x, in f32 "
                       "or x's element type, got ")
           << getResult().getType();
  if (failed(verifyConfig(*this, "layer_c5", getConfig(), experts)) ||
      failed(verifyBias(*this, "layer_c6", getBias(), getConfig(), experts)) ||
      failed(verifySharedExpert(*this, hidden)))
    return failure();
  if (getResidual() && !sameShape(getResidual(), getResult()))
    return emitOpError("(layer_c8) the residual must have the shape of the "
                       "result");
  if (getRecord() && int64_t(*getRecord()) < 0)
    return emitOpError("(layer_c9) record must not be negative");
  return success();
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

/// Checks the type of weights or ids of a routing, [rows,top_k].
static LogicalResult verifyRouting(Operation *op, StringRef label, Value value,
                                   bool isIds, int64_t rows, int64_t topK) {
  auto shaped = dyn_cast<ShapedType>(value.getType());
  if (shaped && shaped.getRank() == 2 && shaped.getDimSize(1) == topK &&
      !differ(shaped.getDimSize(0), rows) &&
      (isIds ? shaped.getElementType().isInteger(32)
             : shaped.getElementType().isF32()))
    return success();
  return op->emitOpError() << "(" << label << ") expected "
                           << (isIds ? "ids of i32" : "weights of f32")
                           << " with top_k = " << topK
                           << " columns and the rows of the input, got "
                           << value.getType();
}

LogicalResult RouterOp::verify() {
  size_t count = getNumResults() + getOuts().size();
  if (count != 2)
    return emitOpError("(router_c6) expected weights and ids, got ")
           << count << " results";
  int64_t topK = getConfig().getTopK(), experts = columnsOf(getLogits());
  Value weights = resultOf(*this, 0), ids = resultOf(*this, 1);
  if (!getElementTypeOrSelf(weights).isF32() ||
      !getElementTypeOrSelf(ids).isInteger(32))
    return emitOpError("(router_c6) expected weights of f32 and ids of i32");
  for (Value value : {weights, ids}) {
    if (columnsOf(value) != topK)
      return emitOpError("(router_c1) weights and ids must have top_k = ")
             << topK << " columns, got " << value.getType();
    if (differ(rowsOf(value), rowsOf(getLogits())))
      return emitOpError(
          "(router_c4) rows of weights and ids must be rows of the logits");
  }
  if (failed(verifyConfig(*this, "router_c2", getConfig(), experts)) ||
      failed(verifyBias(*this, "router_c3", getBias(), getConfig(), experts)))
    return failure();
  if (getStaticIds() && !sameShape(getStaticIds(), ids))
    return emitOpError("(router_c5) static ids must have the shape of ids");
  return success();
}

unsigned RouterOp::getRowsOperand(unsigned) { return 0; }
int64_t RouterOp::getRowsPerToken(unsigned) { return 1; }

LogicalResult DispatchOp::verify() {
  PlanType plan;
  SmallVector<Value> made(getResults());
  llvm::append_range(made, getOuts());
  if (failed(verifyPlan(*this, "dispatch_c5", made, plan)))
    return failure();
  int64_t experts = getExperts(), slots = columnsOf(getIds());
  if (experts < 1 || getWeights().size() > 1)
    return emitOpError("(dispatch_c6) expected at least 1 expert and at most "
                       "one block of weights");
  if (plan && (plan.getExperts() != experts || plan.getSlots() != slots))
    return emitOpError("(dispatch_c1) the plan must be !moe.plan<")
           << experts << ", " << slots << ">, got " << plan;
  bool bounded = getCapacity() || getCapacityFactor();
  if (bounded != (getOverflow() != Overflow::None))
    return emitOpError("(dispatch_c2) an overflow policy and a capacity come "
                       "together");
  if (getOverflow() == Overflow::Probability &&
      (getWeights().empty() || !sameShape(getWeights().front(), getIds())))
    return emitOpError("(dispatch_c3) overflow <probability> needs weights of "
                       "the shape of ids");
  if ((getCapacity() && getCapacityFactor()) ||
      (getCapacity() && int64_t(*getCapacity()) < 1) ||
      (getCapacityFactor() && !(getCapacityFactor()->convertToDouble() > 0)) ||
      int64_t(getMinCapacity()) < 0)
    return emitOpError("(dispatch_c4) expected a positive capacity or a "
                       "positive capacity_factor, not both, and a min_capacity "
                       "that is not negative");
  return success();
}

unsigned DispatchOp::getRowsOperand(unsigned) { return 0; }
int64_t DispatchOp::getRowsPerToken(unsigned) { return columnsOf(getIds()); }

LogicalResult RouteOp::verify() {
  auto gate = weightOfRank(*this, "route_c1", getGate(), 2);
  if (failed(gate))
    return failure();
  int64_t experts = getExperts(), topK = getConfig().getTopK();
  if (experts < 1 || (!gate->empty() &&
                      *gate != ArrayRef<int64_t>{experts, columnsOf(getX())}))
    return emitOpError("(route_c1) the gate must be [")
           << experts << "," << columnsOf(getX()) << "], got "
           << getGate().getType();
  SmallVector<Value> made(getResults());
  llvm::append_range(made, getOuts());
  if (made.size() < 2)
    return emitOpError("(route_c2) expected weights and ids");
  for (bool isIds : {false, true})
    if (failed(verifyRouting(*this, "route_c2", made[isIds], isIds,
                             rowsOf(getX()), topK)))
      return failure();
  PlanType plan;
  ArrayRef<Value> rest = ArrayRef(made).drop_front(2);
  if (!rest.empty() && failed(verifyPlan(*this, "route_c2", rest, plan)))
    return failure();
  if (plan && (plan.getExperts() != experts || plan.getSlots() != topK))
    return emitOpError("(route_c2) the plan must be !moe.plan<")
           << experts << ", " << topK << ">, got " << plan;
  if (failed(verifyConfig(*this, "route_c3", getConfig(), experts)))
    return failure();
  return verifyBias(*this, "route_c4", getBias(), getConfig(), experts);
}

unsigned RouteOp::getRowsOperand(unsigned) { return 0; }
int64_t RouteOp::getRowsPerToken(unsigned result) {
  return result < 2 ? 1 : getConfig().getTopK();
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

static LogicalResult verifyEpilogue(GroupedMatmulOp op) {
  if (op.getEpilogue().empty()) {
    if (op.getPaired())
      return op.emitOpError("(grouped_matmul_c6) paired needs a region");
    return success();
  }
  if (op.getFunction())
    return op.emitOpError("(grouped_matmul_c6) a region and a function exclude "
                          "each other");
  Block &block = op.getEpilogue().front();
  unsigned wanted = op.getPaired() ? 2 : 1;
  if (block.getNumArguments() != wanted ||
      !llvm::all_of(block.getArgumentTypes(),
                    [](Type type) { return type.isF32(); }))
    return op.emitOpError("(grouped_matmul_c6) the epilogue must take ")
           << wanted << " f32";
  if (block.empty() || !isa<YieldOp>(block.back()))
    return op.emitOpError("(grouped_matmul_c6) the epilogue must end with "
                          "moe.yield");
  return success();
}

/// Checks a product's shapes against those of its weight.
static LogicalResult verifyWeight(GroupedMatmulOp op, ArrayRef<int64_t> weight,
                                  PlanType plan) {
  if (weight.empty())
    return success();
  if (weight[2] != columnsOf(op.getX()))
    return op.emitOpError("(grouped_matmul_c1) columns of x (")
           << columnsOf(op.getX()) << ") must be columns of the weight "
           << op.getWeight().getType();
  if (plan && weight[0] != plan.getExperts())
    return op.emitOpError("(grouped_matmul_c2) experts of the weight (")
           << weight[0] << ") must be experts of the plan ("
           << plan.getExperts() << ")";
  int64_t parts = op.getFunction() || op.getPaired() ? 2 : 1;
  int64_t columns = columnsOf(resultOf(op));
  if (weight[1] % parts || weight[1] / parts != columns)
    return op.emitOpError("(grouped_matmul_c3) the result must have ")
           << weight[1] << " / " << parts << " columns, got " << columns;
  if (!op.getBias())
    return success();
  ArrayRef<int64_t> bias = getWeightShape(op.getBias().getType());
  if (!bias.empty() && bias != weight.take_front(2))
    return op.emitOpError("(grouped_matmul_c4) the bias must be [")
           << weight[0] << "," << weight[1] << "], got "
           << op.getBias().getType();
  return success();
}

LogicalResult GroupedMatmulOp::verify() {
  PlanType plan;
  if (failed(verifySingleResult(*this)) ||
      failed(verifyPlan(*this, "grouped_matmul_c7", getPlan(), plan)))
    return failure();
  auto weight = weightOfRank(*this, "grouped_matmul_c1", getWeight(), 3);
  if (failed(weight) || failed(verifyWeight(*this, *weight, plan)))
    return failure();
  if (getRowScale() && plan && columnsOf(getRowScale()) != plan.getSlots())
    return emitOpError("(grouped_matmul_c5) row_scale must have ")
           << plan.getSlots() << " columns, got " << getRowScale().getType();
  int64_t rows = rowsOf(getX());
  if (plan && getGather())
    rows = timesSlots(rows, plan.getSlots());
  if ((plan || !getGather()) && differ(rows, rowsOf(resultOf(*this))))
    return emitOpError("(grouped_matmul_c8) the result must have ")
           << rows << " rows";
  if (failed(lm::verifyWeightFormat(*this, getWeight(), getWeightFormat())))
    return failure();
  return verifyEpilogue(*this);
}

unsigned GroupedMatmulOp::getRowsOperand(unsigned) { return 0; }
int64_t GroupedMatmulOp::getRowsPerToken(unsigned) {
  auto plan = dyn_cast<PlanType>(getPlan().front().getType());
  return getGather() && plan ? plan.getSlots() : 1;
}

LogicalResult ExpertFFNOp::verify() {
  PlanType plan;
  if (failed(verifySingleResult(*this)) ||
      failed(verifyPlan(*this, "expert_ffn_c4", getPlan(), plan)))
    return failure();
  auto gateUp = weightOfRank(*this, "expert_ffn_c1", getGateUp(), 3);
  auto down = weightOfRank(*this, "expert_ffn_c1", getDown(), 3);
  if (failed(gateUp) || failed(down))
    return failure();
  if (plan && differ(timesSlots(rowsOf(getX()), plan.getSlots()),
                     rowsOf(resultOf(*this))))
    return emitOpError("(expert_ffn_c5) the result must have the rows of x "
                       "times ")
           << plan.getSlots();
  if (gateUp->empty() || down->empty())
    return success();
  if ((*gateUp)[2] != columnsOf(getX()) ||
      (*down)[1] != columnsOf(resultOf(*this)))
    return emitOpError("(expert_ffn_c1) columns of x must be columns of "
                       "gate_up, and columns of the result rows of down");
  if ((*gateUp)[0] != (*down)[0] || (plan && plan.getExperts() != (*down)[0]))
    return emitOpError("(expert_ffn_c2) gate_up, down and the plan must have "
                       "one number of experts");
  if ((*gateUp)[1] % 2 || (*gateUp)[1] / 2 != (*down)[2])
    return emitOpError("(expert_ffn_c3) rows of gate_up (")
           << (*gateUp)[1] << ") must be twice the columns of down ("
           << (*down)[2] << ")";
  return success();
}

unsigned ExpertFFNOp::getRowsOperand(unsigned) { return 0; }
int64_t ExpertFFNOp::getRowsPerToken(unsigned) {
  auto plan = dyn_cast<PlanType>(getPlan().front().getType());
  return plan ? plan.getSlots() : 1;
}

LogicalResult CombineOp::verify() {
  PlanType plan;
  if (failed(verifySingleResult(*this)) ||
      failed(verifyPlan(*this, "combine_c6", getPlan(), plan)))
    return failure();
  Value result = resultOf(*this);
  int64_t columns = columnsOf(result), rows = rowsOf(result);
  for (Value value : {getY(), getResidual(), getIdentity()})
    if (value && columnsOf(value) != columns)
      return emitOpError("(combine_c1) expected ")
             << columns << " columns, got " << value.getType();
  if (plan && columnsOf(getWeights()) != plan.getSlots())
    return emitOpError("(combine_c2) weights must have ")
           << plan.getSlots() << " columns, got " << getWeights().getType();
  if (differ(rowsOf(getWeights()), rows))
    return emitOpError("(combine_c3) rows of the result must be rows of "
                       "weights");
  if (bool(getIdentity()) != bool(getIds()) ||
      bool(getIdentity()) != getIdentityFrom().has_value())
    return emitOpError("(combine_c4) identity, ids and identity_from come "
                       "together");
  if (failed(
          verifyElements(*this, "combine_c5", "the bias", getBias(), columns)))
    return failure();
  for (Value value : {getResidual(), getIdentity()})
    if (value && differ(rowsOf(value), rows))
      return emitOpError("(combine_c7) expected the rows of the result, got ")
             << value.getType();
  if (getIds() && !sameShape(getIds(), getWeights()))
    return emitOpError("(combine_c7) ids must have the shape of weights");
  if (plan && differ(timesSlots(rows, plan.getSlots()), rowsOf(getY())))
    return emitOpError("(combine_c7) y must have the rows of the result times ")
           << plan.getSlots();
  return success();
}

unsigned CombineOp::getRowsOperand(unsigned) { return 1; }
int64_t CombineOp::getRowsPerToken(unsigned) { return 1; }

//===----------------------------------------------------------------------===//
// Telemetry and losses
//===----------------------------------------------------------------------===//

void RecordOp::getEffects(Effects &effects) {
  // Without buffers the record is an effect on the outside world.
  if (getOuts().empty())
    effects.emplace_back(MemoryEffects::Write::get());
  for (OpOperand &operand : getOutsMutable())
    effects.emplace_back(MemoryEffects::Write::get(), &operand);
  for (OpOperand *operand : {&getWeightsMutable(), &getIdsMutable()})
    if (isa<BaseMemRefType>(operand->get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), operand);
}

LogicalResult RecordOp::verify() {
  if (!sameShape(getWeights(), getIds()))
    return emitOpError("(record_c1) weights and ids must have one shape");
  if (int64_t(getIndex()) < 0)
    return emitOpError("(record_c2) index must not be negative");
  bool isBuffer = isa<MemRefType>(getWeights().getType());
  bool fits = isBuffer == isa<MemRefType>(getIds().getType());
  if (isBuffer)
    fits &= getOuts().size() == 2 && getExtent().size() == 1 &&
            getElementTypeOrSelf(getOuts()[0]).isInteger(32) &&
            getElementTypeOrSelf(getOuts()[1]).isF32();
  else
    fits &= getOuts().empty() && getExtent().empty();
  if (!fits)
    return emitOpError("(record_c3) value form takes tensors alone, buffer "
                       "form memrefs with `outs` (ids, weights) and an extent");
  return success();
}

template <typename OpTy>
static LogicalResult verifyScalar(OpTy op, StringRef label) {
  if (failed(verifySingleResult(op)))
    return failure();
  if (cast<ShapedType>(resultOf(op).getType()).getRank() != 0)
    return op.emitOpError() << "(" << label << ") the result must be a scalar";
  return success();
}

LogicalResult LoadBalanceLossOp::verify() {
  if (differ(rowsOf(getProbabilities()), rowsOf(getIds())))
    return emitOpError("(load_balance_loss_c1) rows of probabilities and ids "
                       "must agree");
  return verifyScalar(*this, "load_balance_loss_c2");
}

LogicalResult ZLossOp::verify() { return verifyScalar(*this, "z_loss_c1"); }

LogicalResult ImportanceLossOp::verify() {
  if (!sameShape(getWeights(), getIds()))
    return emitOpError("(importance_loss_c1) weights and ids must have one "
                       "shape");
  if (int64_t(getExperts()) < 1)
    return emitOpError("(importance_loss_c2) experts must be at least 1");
  return verifyScalar(*this, "importance_loss_c2");
}

unsigned LoadBalanceLossOp::getRowsOperand(unsigned) { return 0; }
int64_t LoadBalanceLossOp::getRowsPerToken(unsigned) { return 1; }
unsigned ZLossOp::getRowsOperand(unsigned) { return 0; }
int64_t ZLossOp::getRowsPerToken(unsigned) { return 1; }
unsigned ImportanceLossOp::getRowsOperand(unsigned) { return 0; }
int64_t ImportanceLossOp::getRowsPerToken(unsigned) { return 1; }

LogicalResult PackOp::verify() {
  auto source = getSource().getType();
  auto packed = getResult().getType();
  if (source.getShape() != packed.getShape() ||
      (!packed.isQuantised() &&
       source.getElementType() != packed.getStorageType()))
    return emitOpError("(pack_c1) source ")
           << source << " and result " << packed
           << " must have one shape and element type";
  return success();
}
