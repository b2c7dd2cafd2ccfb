//===- LMOps.cpp - Verifiers and effects of lm ops ------------------------===//
//
// Part of moe-mlir. Labels such as (linear_c1) are those of the op's
// documentation in LMOps.td.
//
//===----------------------------------------------------------------------===//

#include "dialects/LM/IR/ShapeChecks.h"

#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace mlir::lm;

#define GET_OP_CLASSES
#include "dialects/LM/IR/LMOps.cpp.inc"

namespace {
using Effects =
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;
} // namespace

// An op that reads where a value points to may not run where it did not.
#define TWO_FORMS(OP, IS_SPECULATABLE)                                         \
  void OP::getEffects(Effects &effects) {                                      \
    getTwoFormsEffects(*this, effects);                                        \
  }                                                                            \
  Speculation::Speculatability OP::getSpeculatability() {                      \
    return IS_SPECULATABLE ? getTwoFormsSpeculatability(*this)                 \
                           : Speculation::NotSpeculatable;                     \
  }                                                                            \
  LogicalResult OP::reifyResultShapes(OpBuilder &builder,                      \
                                      ReifiedRankedShapedTypeDims &shapes) {   \
    return reifyTwoFormsShapes(*this, builder, shapes);                        \
  }
TWO_FORMS(EmbeddingOp, false)
TWO_FORMS(LinearOp, true)
TWO_FORMS(RMSNormOp, true)
TWO_FORMS(LayerNormOp, true)
TWO_FORMS(AddOp, true)
TWO_FORMS(ActivateOp, true)
TWO_FORMS(GatedOp, true)
TWO_FORMS(GatedLinearOp, true)
TWO_FORMS(ScaledAddOp, true)
TWO_FORMS(LastRowsOp, false)
TWO_FORMS(RopeTableOp, true)
TWO_FORMS(RopeOp, true)
TWO_FORMS(AttentionOp, true)
#undef TWO_FORMS

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

LogicalResult WeightsOp::verify() {
  if (isa<PackedType>(getType()))
    return success();
  auto tensor = dyn_cast<RankedTensorType>(getType());
  if (!tensor || !tensor.hasStaticShape())
    return emitOpError("(weights_c1) type must be a static tensor or a packed "
                       "weight, got ")
           << getType();
  return success();
}

LogicalResult WeightOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto weights =
      symbolTable.lookupNearestSymbolFrom<WeightsOp>(*this, getNameAttr());
  if (!weights)
    return emitOpError("(weight_c1) no lm.weights named ") << getNameAttr();
  if (weights.getType() != getType())
    return emitOpError("(weight_c2) type ")
           << getType() << " differs from that of the declaration, "
           << weights.getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  auto table = weightOfRank(*this, "embedding_c1", getTable(), 2);
  if (failed(table))
    return failure();
  Value result = resultOf(*this);
  if (!table->empty() && (*table)[1] != columnsOf(result))
    return emitOpError("(embedding_c1) columns of the result (")
           << columnsOf(result) << ") must be columns of the table "
           << getTable().getType();
  if (differ(rowsOf(getTokens()), rowsOf(result)))
    return emitOpError(
        "(embedding_c2) rows of the result must be the number of tokens");
  return success();
}

LogicalResult LinearOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  auto weight = weightOfRank(*this, "linear_c1", getWeight(), 2);
  if (failed(weight))
    return failure();
  Value result = resultOf(*this);
  if (!weight->empty() && (*weight)[1] != columnsOf(getX()))
    return emitOpError("(linear_c1) columns of x (")
           << columnsOf(getX()) << ") must be columns of the weight "
           << getWeight().getType();
  if (!weight->empty() && (*weight)[0] != columnsOf(result))
    return emitOpError("(linear_c2) columns of the result (")
           << columnsOf(result) << ") must be rows of the weight "
           << getWeight().getType();
  if (failed(verifyElements(*this, "linear_c3", "the bias", getBias(),
                            columnsOf(result))))
    return failure();
  if (differ(rowsOf(getX()), rowsOf(result)))
    return emitOpError("(linear_c4) rows of the result must be rows of x");
  return verifyWeightFormat(*this, getWeight(), getWeightFormat());
}

LogicalResult RMSNormOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  int64_t columns = columnsOf(getX()), groups = getGroups();
  if (groups < 1 || columns % groups)
    return emitOpError("(rms_norm_c1) groups (")
           << groups << ") must divide the columns of x (" << columns << ")";
  if (failed(verifyElements(*this, "rms_norm_c2", "the weight", getWeight(),
                            columns / groups)) ||
      failed(verifySameShape(*this, "rms_norm_c3", getX(), resultOf(*this))))
    return failure();
  if (!(getEps().convertToDouble() >= 0))
    return emitOpError("(rms_norm_c4) eps must not be negative");
  return success();
}

LogicalResult LayerNormOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  int64_t columns = columnsOf(getX());
  if (failed(verifyElements(*this, "layer_norm_c1", "the weight", getWeight(),
                            columns)) ||
      failed(verifyElements(*this, "layer_norm_c1", "the bias", getBias(),
                            columns)) ||
      failed(verifySameShape(*this, "layer_norm_c2", getX(), resultOf(*this))))
    return failure();
  if (!(getEps().convertToDouble() >= 0))
    return emitOpError("(layer_norm_c3) eps must not be negative");
  return success();
}

LogicalResult AddOp::verify() {
  if (failed(verifySingleResult(*this)) ||
      failed(verifySameShape(*this, "add_c1", getLhs(), getRhs())))
    return failure();
  return verifySameShape(*this, "add_c1", getLhs(), resultOf(*this));
}

LogicalResult ActivateOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  return verifySameShape(*this, "activate_c1", getX(), resultOf(*this));
}

LogicalResult GatedOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  Value result = resultOf(*this);
  int64_t columns = columnsOf(getX());
  if (columns % 2 || columns / 2 != columnsOf(result))
    return emitOpError("(gated_c1) columns of x (")
           << columns << ") must be twice those of the result ("
           << columnsOf(result) << ")";
  if (differ(rowsOf(getX()), rowsOf(result)))
    return emitOpError("(gated_c2) rows of the result must be rows of x");
  return success();
}

LogicalResult GatedLinearOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  auto weight = weightOfRank(*this, "gated_linear_c1", getWeight(), 2);
  if (failed(weight))
    return failure();
  Value result = resultOf(*this);
  if (!weight->empty() && (*weight)[1] != columnsOf(getX()))
    return emitOpError("(gated_linear_c1) columns of x (")
           << columnsOf(getX()) << ") must be columns of the weight "
           << getWeight().getType();
  if (!weight->empty() &&
      ((*weight)[0] % 2 || (*weight)[0] / 2 != columnsOf(result)))
    return emitOpError("(gated_linear_c2) rows of the weight (")
           << (*weight)[0] << ") must be twice the columns of the result ("
           << columnsOf(result) << ")";
  if (differ(rowsOf(getX()), rowsOf(result)))
    return emitOpError(
        "(gated_linear_c3) rows of the result must be rows of x");
  return verifyWeightFormat(*this, getWeight(), getWeightFormat());
}

LogicalResult ScaledAddOp::verify() {
  if (failed(verifySingleResult(*this)) ||
      failed(verifySameShape(*this, "scaled_add_c1", getAcc(), getY())) ||
      failed(
          verifySameShape(*this, "scaled_add_c1", getAcc(), resultOf(*this))))
    return failure();
  if (columnsOf(getScale()) != 1 ||
      differ(rowsOf(getScale()), rowsOf(getAcc())))
    return emitOpError("(scaled_add_c2) the scale must have one column and the "
                       "rows of acc, got ")
           << getScale().getType();
  return success();
}

LogicalResult LastRowsOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  if (columnsOf(getX()) != columnsOf(resultOf(*this)))
    return emitOpError(
        "(last_rows_c1) columns of the result must be columns of x");
  return success();
}

Value LastRowsOp::buildResultRows(OpBuilder &, ValueRange operands, unsigned) {
  return operands[1];
}

//===----------------------------------------------------------------------===//
// Position and attention
//===----------------------------------------------------------------------===//

LogicalResult RopeTableOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  Value result = resultOf(*this);
  ArrayRef<int64_t> angles = getWeightShape(getInvFreq().getType());
  int64_t columns = columnsOf(result);
  if (!angles.empty() && (columns % 2 || columns / 2 != angles[0]))
    return emitOpError("(rope_table_c1) columns of the result (")
           << columns << ") must be twice the elements of inv_freq ("
           << angles[0] << ")";
  if (differ(rowsOf(getTokens()), rowsOf(result)))
    return emitOpError(
        "(rope_table_c2) rows of the result must be the number of tokens");
  return success();
}

unsigned RopeTableOp::getRowsOperand(unsigned) { return 2; }

LogicalResult RopeOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  int64_t columns = columnsOf(getX()), heads = getHeads();
  if (heads < 1 || columns % heads)
    return emitOpError("(rope_c1) heads (")
           << heads << ") must divide the columns of x (" << columns << ")";
  int64_t table = columnsOf(getTable());
  if (table % 2 || table > columns / heads)
    return emitOpError("(rope_c2) columns of the table (")
           << table << ") must be even and at most those of a head ("
           << columns / heads << ")";
  if (differ(rowsOf(getTable()), rowsOf(getX())))
    return emitOpError("(rope_c4) rows of the table must be rows of x");
  return verifySameShape(*this, "rope_c3", getX(), resultOf(*this));
}

/// The cache's type: of the handle, or the attribute that replaces it once the
/// handle is bytes.
static StateType cacheType(Value state, std::optional<Type> attr) {
  if (auto type = dyn_cast<StateType>(state.getType()))
    return type;
  return attr ? dyn_cast<StateType>(*attr) : StateType();
}

/// Whether operands say all about a cache: nothing of a handle; of bytes its
/// type, its extent and, where the type leaves a choice, two numbers.
static bool describesCache(Value state, StateType type, Value extent,
                           ValueRange types) {
  if (!type)
    return false;
  if (!isa<BaseMemRefType>(state.getType()))
    return types.empty();
  return extent && types.size() == (type.isChosen() ? 2 : 0);
}

static bool isBuffer(Value value) {
  return isa<BaseMemRefType>(value.getType());
}

StateType AttentionOp::getCacheType() {
  return cacheType(getState(), getStateType());
}
StateType AppendOp::getCacheType() {
  return cacheType(getState(), getStateType());
}

LogicalResult AttentionOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  int64_t q = columnsOf(getQ()), heads = getHeads();
  StateType state = getCacheType();
  if (!describesCache(getState(), state, getExtent(), getTypes()))
    return emitOpError("(attention_c8) the bytes of a cache need a state_type, "
                       "an extent and, of several element types, types of keys "
                       "and of values");
  if (heads < 1 || q % heads || q / heads != state.getHeadDim())
    return emitOpError("(attention_c1) columns of q (")
           << q << ") must be heads (" << heads << ") times the head size ("
           << state.getHeadDim() << ")";
  if (heads % state.getHeads())
    return emitOpError("(attention_c3) kv heads (")
           << state.getHeads() << ") must divide heads (" << heads << ")";
  if (int64_t(getWindow()) < 0)
    return emitOpError("(attention_c5) window must not be negative");
  if (failed(verifyElements(*this, "attention_c6", "sinks", getSinks(), heads)))
    return failure();
  if (bool(getK()) != bool(getV()))
    return emitOpError("(attention_c7) keys and values come together");
  for (Value value : {getK(), getV()}) {
    if (!value)
      continue;
    if (columnsOf(value) != state.getHeads() * state.getHeadDim())
      return emitOpError("(attention_c2) columns of k and v must be ")
             << state.getHeads() * state.getHeadDim() << ", got "
             << value.getType();
    if (differ(rowsOf(value), rowsOf(getQ())))
      return emitOpError("(attention_c4) rows of q, k and v must agree");
  }
  return verifySameShape(*this, "attention_c4", getQ(), resultOf(*this));
}

bool AttentionOp::writesOperand(unsigned operand) {
  return getK() && operand == getStateMutable().getOperandNumber();
}

LogicalResult AppendOp::verify() {
  StateType state = getCacheType();
  if (!describesCache(getState(), state, getExtent(), getTypes()))
    return emitOpError("(append_c2) the bytes of a cache need a state_type, an "
                       "extent and, of several element types, types of keys "
                       "and of values");
  for (Value value : {getK(), getV()})
    if (columnsOf(value) != state.getHeads() * state.getHeadDim())
      return emitOpError("(append_c1) columns of k and v must be ")
             << state.getHeads() * state.getHeadDim() << ", got "
             << value.getType();
  if (differ(rowsOf(getK()), rowsOf(getV())))
    return emitOpError("(append_c3) rows of k and v must agree");
  for (Value value : {getK(), getV()})
    if (isBuffer(value) != isBuffer(getState()))
      return emitOpError("(append_c4) k, v and the state must all be values or "
                         "all be buffers");
  return success();
}

void AppendOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Write::get(), &getStateMutable());
  for (OpOperand *operand : {&getKMutable(), &getVMutable()})
    if (isa<BaseMemRefType>(operand->get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), operand);
}
