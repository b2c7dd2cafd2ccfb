//===- MoEOps.cpp - Verifiers and effects of moe ops ----------------------===//
//
// Part of moe-mlir. Labels such as (router_c1) are those of the op's
// documentation in MoEOps.td.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/IR/MoEDialect.h"

#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace mlir::moe;
using lm::getWeightShape;

#define GET_OP_CLASSES
#include "dialects/MoE/IR/MoEOps.cpp.inc"

namespace {
using Effects =
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;
} // namespace

#define TWO_FORMS_EFFECTS(OP)                                                  \
  void OP::getEffects(Effects &effects) {                                      \
    lm::getTwoFormsEffects(*this, effects);                                    \
  }
TWO_FORMS_EFFECTS(RouterOp)
TWO_FORMS_EFFECTS(DispatchOp)
TWO_FORMS_EFFECTS(RouteOp)
TWO_FORMS_EFFECTS(GroupedMatmulOp)
TWO_FORMS_EFFECTS(ExpertFFNOp)
TWO_FORMS_EFFECTS(CombineOp)
#undef TWO_FORMS_EFFECTS

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<ShapedType>(value.getType()).getShape();
}

static bool differ(int64_t a, int64_t b) {
  return !ShapedType::isDynamic(a) && !ShapedType::isDynamic(b) && a != b;
}

static bool sameShape(Value a, Value b) {
  return llvm::all_of_zip(shapeOf(a), shapeOf(b), [](int64_t x, int64_t y) {
    return !differ(x, y);
  });
}

/// Shape of a weight with `rank` dimensions; nothing if it is only bytes.
static FailureOr<ArrayRef<int64_t>> weightOfRank(Operation *op, StringRef label,
                                                 Value weight, size_t rank) {
  ArrayRef<int64_t> shape = getWeightShape(weight.getType());
  if (!shape.empty() && shape.size() != rank)
    return op->emitOpError() << "(" << label << ") expected a weight of "
                             << rank << " dimensions, got " << weight.getType();
  return shape;
}

/// The i-th result, in either form.
template <typename OpTy>
static Value resultOf(OpTy op, unsigned i) {
  return op->getNumResults() ? Value(op->getResult(i)) : op.getOuts()[i];
}


/// Checks that a bias is there exactly when the router selects by it.
static LogicalResult verifyBias(Operation *op, StringRef label, Value bias,
                                RouterConfigAttr config, int64_t experts) {
  bool wanted = config.getSelect() == SelectKey::ByBiasedScore;
  if (wanted != bool(bias))
    return op->emitOpError() << "(" << label << ") "
                             << (wanted ? "select = biased_score needs a bias"
                                        : "a bias needs select = biased_score");
  if (bias) {
    ArrayRef<int64_t> shape = getWeightShape(bias.getType());
    if (!shape.empty() && differ(shape[0], experts))
      return op->emitOpError() << "(" << label << ") the bias must have "
                               << experts << " elements, got " << shape[0];
  }
  return success();
}

static LogicalResult verifyConfig(Operation *op, StringRef label,
                                  RouterConfigAttr config, int64_t experts) {
  if (ShapedType::isDynamic(experts))
    return success();
  return config.verifyExperts(
      [&] { return op->emitOpError() << "(" << label << ") "; }, experts);
}

//===----------------------------------------------------------------------===//
// LayerOp
//===----------------------------------------------------------------------===//

static LogicalResult verifySharedExpert(LayerOp op, int64_t hidden) {
  if (!op.getSharedGateUp())
    return success();
  auto gateUp = weightOfRank(op, "layer_c7", op.getSharedGateUp(), 2);
  auto down = weightOfRank(op, "layer_c7", op.getSharedDown(), 2);
  if (failed(gateUp) || failed(down))
    return failure();
  if ((*gateUp)[1] != hidden || (*down)[0] != hidden ||
      (*gateUp)[0] != 2 * (*down)[1])
    return op.emitOpError("(layer_c7) shared expert must be [2S,D] and [D,S] "
                          "with D = ")
           << hidden << ", got " << op.getSharedGateUp().getType() << " and "
           << op.getSharedDown().getType();
  if (Value gate = op.getSharedGate()) {
    ArrayRef<int64_t> shape = getWeightShape(gate.getType());
    if (shape != ArrayRef<int64_t>{1, hidden})
      return op.emitOpError("(layer_c7) the shared gate must be [1,")
             << hidden << "], got " << gate.getType();
  }
  return success();
}

LogicalResult LayerOp::verify() {
  auto gate = weightOfRank(*this, "layer_c1", getGate(), 2);
  auto gateUp = weightOfRank(*this, "layer_c1", getGateUp(), 3);
  auto down = weightOfRank(*this, "layer_c1", getDown(), 3);
  if (failed(gate) || failed(gateUp) || failed(down))
    return failure();
  int64_t hidden = shapeOf(getX())[1];
  if ((*gate)[1] != hidden || (*gateUp)[2] != hidden || (*down)[1] != hidden)
    return emitOpError("(layer_c1) columns of gate and gate_up and rows of "
                       "down must be the columns of x (")
           << hidden << ")";
  int64_t experts = (*gate)[0];
  if ((*gateUp)[0] != experts || (*down)[0] != experts)
    return emitOpError("(layer_c2) gate, gate_up and down must have one number "
                       "of experts, got ")
           << experts << ", " << (*gateUp)[0] << " and " << (*down)[0];
  if ((*gateUp)[1] != 2 * (*down)[2])
    return emitOpError("(layer_c3) rows of gate_up (")
           << (*gateUp)[1] << ") must be twice the columns of down ("
           << (*down)[2] << ")";
  if (!sameShape(getX(), getResult()))
    return emitOpError("(layer_c4) the result must have the shape of x");
  if (failed(verifyConfig(*this, "layer_c5", getConfig(), experts)) ||
      failed(verifyBias(*this, "layer_c6", getBias(), getConfig(), experts)) ||
      failed(verifySharedExpert(*this, hidden)))
    return failure();
  if (getResidual() && !sameShape(getResidual(), getResult()))
    return emitOpError("(layer_c8) the residual must have the shape of the "
                       "result");
  return success();
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

LogicalResult RouterOp::verify() {
  if (getNumResults() + getOuts().size() != 2)
    return emitOpError("expected two results, weights and ids");
  int64_t topK = getConfig().getTopK();
  ArrayRef<int64_t> logits = shapeOf(getLogits());
  for (unsigned i : {0u, 1u}) {
    ArrayRef<int64_t> shape = shapeOf(resultOf(*this, i));
    if (shape.size() != 2 || shape[1] != topK)
      return emitOpError("(router_c1) weights and ids must have top_k = ")
             << topK << " columns, got " << resultOf(*this, i).getType();
    if (differ(shape[0], logits[0]))
      return emitOpError(
          "(router_c4) rows of weights and ids must be rows of the logits");
  }
  if (!getElementTypeOrSelf(resultOf(*this, 0).getType()).isF32() ||
      !getElementTypeOrSelf(resultOf(*this, 1).getType()).isInteger(32))
    return emitOpError("expected weights of f32 and ids of i32");
  if (failed(verifyConfig(*this, "router_c2", getConfig(), logits[1])) ||
      failed(verifyBias(*this, "router_c3", getBias(), getConfig(),
                        logits[1])))
    return failure();
  if (getStaticIds() && !sameShape(getStaticIds(), resultOf(*this, 1)))
    return emitOpError("(router_c5) static ids must have the shape of ids");
  return success();
}

unsigned RouterOp::getRowsOperand(unsigned) { return 0; }
int64_t RouterOp::getRowsPerToken(unsigned) { return 1; }

LogicalResult DispatchOp::verify() {
  if (getNumResults() == 1) {
    auto plan = cast<PlanType>(getResult(0).getType());
    if (plan.getExperts() != int64_t(getExperts()) ||
        differ(plan.getSlots(), shapeOf(getIds())[1]))
      return emitOpError("(dispatch_c1) the plan must be !moe.plan<")
             << getExperts() << ", " << shapeOf(getIds())[1] << ">, got "
             << plan;
  }
  bool bounded = getCapacity() || getCapacityFactor();
  if (bounded != (getOverflow() != Overflow::None))
    return emitOpError("(dispatch_c2) an overflow policy and a capacity come "
                       "together");
  if (getOverflow() == Overflow::Probability &&
      (getWeights().size() != 1 ||
       !sameShape(getWeights().front(), getIds())))
    return emitOpError("(dispatch_c3) overflow <probability> needs weights of "
                       "the shape of ids");
  if ((getCapacity() && getCapacityFactor()) ||
      (getCapacity() && int64_t(*getCapacity()) < 1) ||
      (getCapacityFactor() && getCapacityFactor()->convertToDouble() <= 0))
    return emitOpError("(dispatch_c4) expected a positive capacity or a "
                       "positive capacity_factor, not both");
  return success();
}

unsigned DispatchOp::getRowsOperand(unsigned) { return 0; }
int64_t DispatchOp::getRowsPerToken(unsigned) { return shapeOf(getIds())[1]; }

LogicalResult RouteOp::verify() {
  ArrayRef<int64_t> gate = getWeightShape(getGate().getType());
  int64_t experts = getExperts(), topK = getConfig().getTopK();
  if (!gate.empty() &&
      (gate.size() != 2 || gate[1] != shapeOf(getX())[1] || gate[0] != experts))
    return emitOpError("(route_c1) the gate must be [")
           << experts << "," << shapeOf(getX())[1] << "], got "
           << getGate().getType();
  // After phase `tiled` has parted off the dispatch there is no plan.
  if (getNumResults() == 3) {
    auto plan = dyn_cast<PlanType>(getResult(2).getType());
    if (!plan || plan.getExperts() != experts || plan.getSlots() != topK)
      return emitOpError("(route_c2) expected weights, ids and !moe.plan<")
             << experts << ", " << topK << ">";
  }
  if (getNumResults() + getOuts().size() < 2)
    return emitOpError("(route_c2) expected weights and ids");
  for (unsigned i : {0u, 1u})
    if (auto shaped = dyn_cast<ShapedType>(resultOf(*this, i).getType());
        !shaped || shaped.getRank() != 2 || shaped.getShape()[1] != topK)
      return emitOpError("(route_c2) weights and ids must have top_k = ")
             << topK << " columns";
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
  if (op.getEpilogue().empty())
    return success();
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
  return success();
}

LogicalResult GroupedMatmulOp::verify() {
  if (getNumResults() + getOuts().size() != 1)
    return emitOpError("expected exactly one result or one `outs` buffer");
  auto weight = weightOfRank(*this, "grouped_matmul_c1", getWeight(), 3);
  if (failed(weight))
    return failure();
  ArrayRef<int64_t> result = shapeOf(resultOf(*this, 0));
  auto plan = dyn_cast<PlanType>(getPlan().front().getType());
  if (!weight->empty()) {
    if ((*weight)[2] != shapeOf(getX())[1])
      return emitOpError("(grouped_matmul_c1) columns of x (")
             << shapeOf(getX())[1] << ") must be columns of the weight "
             << getWeight().getType();
    if (plan && (*weight)[0] != plan.getExperts())
      return emitOpError("(grouped_matmul_c2) experts of the weight (")
             << (*weight)[0] << ") must be experts of the plan ("
             << plan.getExperts() << ")";
    int64_t columns = (*weight)[1] / (getFunction() || getPaired() ? 2 : 1);
    if (result[1] != columns)
      return emitOpError("(grouped_matmul_c3) the result must have ")
             << columns << " columns, got " << result[1];
    if (getBias()) {
      ArrayRef<int64_t> bias = getWeightShape(getBias().getType());
      if (!bias.empty() && bias != weight->take_front(2))
        return emitOpError("(grouped_matmul_c4) the bias must be [E,N], got ")
               << getBias().getType();
    }
  }
  if (getRowScale() && plan &&
      differ(shapeOf(getRowScale())[1], plan.getSlots()))
    return emitOpError("(grouped_matmul_c5) row_scale must have ")
           << plan.getSlots() << " columns";
  return verifyEpilogue(*this);
}

unsigned GroupedMatmulOp::getRowsOperand(unsigned) { return 0; }
int64_t GroupedMatmulOp::getRowsPerToken(unsigned) {
  auto plan = dyn_cast<PlanType>(getPlan().front().getType());
  return getGather() && plan ? plan.getSlots() : 1;
}

LogicalResult ExpertFFNOp::verify() {
  if (getNumResults() + getOuts().size() != 1)
    return emitOpError("expected exactly one result or one `outs` buffer");
  auto gateUp = weightOfRank(*this, "expert_ffn_c1", getGateUp(), 3);
  auto down = weightOfRank(*this, "expert_ffn_c1", getDown(), 3);
  if (failed(gateUp) || failed(down))
    return failure();
  if (gateUp->empty() || down->empty())
    return success();
  if ((*gateUp)[2] != shapeOf(getX())[1] ||
      (*down)[1] != shapeOf(resultOf(*this, 0))[1])
    return emitOpError("(expert_ffn_c1) columns of x must be columns of "
                       "gate_up, and columns of the result rows of down");
  auto plan = dyn_cast<PlanType>(getPlan().front().getType());
  if ((*gateUp)[0] != (*down)[0] || (plan && plan.getExperts() != (*down)[0]))
    return emitOpError("(expert_ffn_c2) gate_up, down and the plan must have "
                       "one number of experts");
  if ((*gateUp)[1] != 2 * (*down)[2])
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
  if (getNumResults() + getOuts().size() != 1)
    return emitOpError("expected exactly one result or one `outs` buffer");
  Value result = resultOf(*this, 0);
  int64_t columns = shapeOf(result)[1];
  for (Value value : {getY(), getResidual(), getIdentity()})
    if (value && differ(shapeOf(value)[1], columns))
      return emitOpError("(combine_c1) expected ")
             << columns << " columns, got " << value.getType();
  if (auto plan = dyn_cast<PlanType>(getPlan().front().getType()))
    if (differ(shapeOf(getWeights())[1], plan.getSlots()))
      return emitOpError("(combine_c2) weights must have ")
             << plan.getSlots() << " columns, got " << getWeights().getType();
  if (differ(shapeOf(getWeights())[0], shapeOf(result)[0]))
    return emitOpError("(combine_c3) rows of the result must be rows of "
                       "weights");
  if (bool(getIdentity()) != bool(getIds()) ||
      bool(getIdentity()) != getIdentityFrom().has_value())
    return emitOpError("(combine_c4) identity, ids and identity_from come "
                       "together");
  if (getBias()) {
    ArrayRef<int64_t> bias = getWeightShape(getBias().getType());
    if (!bias.empty() && bias[0] != columns)
      return emitOpError("(combine_c5) the bias must have ")
             << columns << " elements, got " << bias[0];
  }
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
  return success();
}

static LogicalResult verifyScalar(Operation *op, StringRef label) {
  if (cast<RankedTensorType>(op->getResult(0).getType()).getRank() != 0)
    return op->emitOpError() << "(" << label << ") the result must be a scalar";
  return success();
}

LogicalResult LoadBalanceLossOp::verify() {
  if (differ(shapeOf(getProbabilities())[0], shapeOf(getIds())[0]))
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

LogicalResult PackOp::verify() {
  auto source = getSource().getType();
  auto packed = getResult().getType();
  if (source.getShape() != packed.getShape() ||
      source.getElementType() != packed.getElementType())
    return emitOpError("(pack_c1) source ")
           << source << " and result " << packed
           << " must have one shape and element type";
  return success();
}
