//===- LMOps.cpp - Verifiers and effects of lm ops ------------------------===//
//
// Part of moe-mlir. Labels such as (linear_c1) are those of the op's
// documentation in LMOps.td.
//
//===----------------------------------------------------------------------===//

#include "dialects/LM/IR/LMDialect.h"

#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace mlir::lm;

#define GET_OP_CLASSES
#include "dialects/LM/IR/LMOps.cpp.inc"

namespace {
using Effects =
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;
} // namespace

#define TWO_FORMS_EFFECTS(OP)                                                  \
  void OP::getEffects(Effects &effects) { getTwoFormsEffects(*this, effects); }
TWO_FORMS_EFFECTS(EmbeddingOp)
TWO_FORMS_EFFECTS(LinearOp)
TWO_FORMS_EFFECTS(RMSNormOp)
TWO_FORMS_EFFECTS(LayerNormOp)
TWO_FORMS_EFFECTS(AddOp)
TWO_FORMS_EFFECTS(ActivateOp)
TWO_FORMS_EFFECTS(GatedOp)
TWO_FORMS_EFFECTS(GatedLinearOp)
TWO_FORMS_EFFECTS(ScaledAddOp)
TWO_FORMS_EFFECTS(LastRowsOp)
TWO_FORMS_EFFECTS(RopeTableOp)
TWO_FORMS_EFFECTS(RopeOp)
TWO_FORMS_EFFECTS(AttentionOp)
#undef TWO_FORMS_EFFECTS

/// Shape of rows, or an empty list in buffer form before shapes matter.
static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<ShapedType>(value.getType()).getShape();
}

/// The value that holds an op's only result, in either form.
template <typename OpTy>
static Value resultOf(OpTy op) {
  return op->getNumResults() ? op->getResult(0) : op.getOuts().front();
}

/// True if two sizes are known and differ.
static bool differ(int64_t a, int64_t b) {
  return !ShapedType::isDynamic(a) && !ShapedType::isDynamic(b) && a != b;
}

/// Shape of a weight of the given rank, or nothing when it is only bytes.
static std::optional<ArrayRef<int64_t>> weightShape(Value weight) {
  ArrayRef<int64_t> shape = getWeightShape(weight.getType());
  if (shape.empty())
    return std::nullopt;
  return shape;
}

template <typename OpTy>
static LogicalResult verifySingleResult(OpTy op) {
  if (op->getNumResults() + op.getOuts().size() != 1)
    return op.emitOpError("expected exactly one result or one `outs` buffer");
  return success();
}

static LogicalResult verifySameShape(Operation *op, StringRef label, Value a,
                                     Value b) {
  ArrayRef<int64_t> sa = shapeOf(a), sb = shapeOf(b);
  if (sa.size() == sb.size() && !differ(sa[0], sb[0]) && !differ(sa[1], sb[1]))
    return success();
  return op->emitOpError() << "(" << label << ") shapes " << a.getType()
                           << " and " << b.getType() << " must agree";
}

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
  if (weights.getType() != getType() &&
      !isa<BaseMemRefType>(getType()))
    return emitOpError("(weight_c2) type ")
           << getType() << " differs from that of the declaration, "
           << weights.getType();
  return success();
}

LogicalResult EmbeddingOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  ArrayRef<int64_t> result = shapeOf(resultOf(*this));
  if (auto table = weightShape(getTable()))
    if (table->size() != 2 || differ((*table)[1], result[1]))
      return emitOpError("(embedding_c1) columns of the result must be columns "
                         "of the table ")
             << getTable().getType();
  if (differ(shapeOf(getTokens())[0], result[0]))
    return emitOpError(
        "(embedding_c2) rows of the result must be the number of tokens");
  return success();
}

LogicalResult LinearOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  ArrayRef<int64_t> x = shapeOf(getX()), result = shapeOf(resultOf(*this));
  if (auto weight = weightShape(getWeight())) {
    if (weight->size() != 2 || differ((*weight)[1], x[1]))
      return emitOpError("(linear_c1) columns of x (")
             << x[1] << ") must be columns of the weight "
             << getWeight().getType();
    if (differ((*weight)[0], result[1]))
      return emitOpError("(linear_c2) columns of the result (")
             << result[1] << ") must be rows of the weight "
             << getWeight().getType();
    if (getBias())
      if (auto bias = weightShape(getBias()))
        if ((*bias)[0] != (*weight)[0])
          return emitOpError("(linear_c3) elements of the bias (")
                 << (*bias)[0] << ") must be rows of the weight";
  }
  if (differ(x[0], result[0]))
    return emitOpError("(linear_c4) rows of the result must be rows of x");
  return success();
}

LogicalResult RMSNormOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  int64_t columns = shapeOf(getX())[1], groups = getGroups();
  if (groups < 1 || columns % groups)
    return emitOpError("(rms_norm_c1) groups (")
           << groups << ") must divide the columns of x (" << columns << ")";
  if (auto weight = weightShape(getWeight()))
    if ((*weight)[0] != columns / groups)
      return emitOpError("(rms_norm_c2) the weight must have ")
             << columns / groups << " elements, got " << (*weight)[0];
  if (getEps().convertToDouble() < 0)
    return emitOpError("(rms_norm_c4) eps must not be negative");
  return verifySameShape(*this, "rms_norm_c3", getX(), resultOf(*this));
}

LogicalResult LayerNormOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  int64_t columns = shapeOf(getX())[1];
  for (Value vector : {getWeight(), getBias()})
    if (vector)
      if (auto shape = weightShape(vector))
        if ((*shape)[0] != columns)
          return emitOpError("(layer_norm_c1) weight and bias must have ")
                 << columns << " elements, got " << (*shape)[0];
  if (getEps().convertToDouble() < 0)
    return emitOpError("(layer_norm_c3) eps must not be negative");
  return verifySameShape(*this, "layer_norm_c2", getX(), resultOf(*this));
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
  ArrayRef<int64_t> x = shapeOf(getX()), result = shapeOf(resultOf(*this));
  if (differ(x[1], 2 * result[1]))
    return emitOpError("(gated_c1) columns of x (")
           << x[1] << ") must be twice those of the result (" << result[1]
           << ")";
  if (differ(x[0], result[0]))
    return emitOpError("(gated_c2) rows of the result must be rows of x");
  return success();
}

LogicalResult GatedLinearOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  ArrayRef<int64_t> x = shapeOf(getX()), result = shapeOf(resultOf(*this));
  if (auto weight = weightShape(getWeight())) {
    if (weight->size() != 2 || differ((*weight)[1], x[1]))
      return emitOpError("(gated_linear_c1) columns of x (")
             << x[1] << ") must be columns of the weight "
             << getWeight().getType();
    if (differ((*weight)[0], 2 * result[1]))
      return emitOpError("(gated_linear_c2) rows of the weight (")
             << (*weight)[0] << ") must be twice the columns of the result ("
             << result[1] << ")";
  }
  if (differ(x[0], result[0]))
    return emitOpError(
        "(gated_linear_c3) rows of the result must be rows of x");
  return success();
}

LogicalResult ScaledAddOp::verify() {
  if (failed(verifySingleResult(*this)) ||
      failed(verifySameShape(*this, "scaled_add_c1", getAcc(), getY())) ||
      failed(verifySameShape(*this, "scaled_add_c1", getAcc(),
                             resultOf(*this))))
    return failure();
  ArrayRef<int64_t> scale = shapeOf(getScale());
  if (scale[1] != 1 || differ(scale[0], shapeOf(getAcc())[0]))
    return emitOpError("(scaled_add_c2) the scale must have one column and the "
                       "rows of acc, got ")
           << getScale().getType();
  return success();
}

LogicalResult LastRowsOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  if (differ(shapeOf(getX())[1], shapeOf(resultOf(*this))[1]))
    return emitOpError(
        "(last_rows_c1) columns of the result must be columns of x");
  return success();
}

Value LastRowsOp::buildResultRows(OpBuilder &, ValueRange buffers, unsigned) {
  return buffers[1];
}

LogicalResult RopeTableOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  ArrayRef<int64_t> result = shapeOf(resultOf(*this));
  if (auto freq = weightShape(getInvFreq()))
    if (result[1] != 2 * (*freq)[0])
      return emitOpError("(rope_table_c1) the result must have ")
             << 2 * (*freq)[0] << " columns, got " << result[1];
  if (differ(shapeOf(getTokens())[0], result[0]))
    return emitOpError(
        "(rope_table_c2) rows of the result must be the number of tokens");
  return success();
}

unsigned RopeTableOp::getRowsOperand(unsigned) { return 2; }

LogicalResult RopeOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  int64_t columns = shapeOf(getX())[1], heads = getHeads();
  if (heads < 1 || columns % heads)
    return emitOpError("(rope_c1) heads (")
           << heads << ") must divide the columns of x (" << columns << ")";
  int64_t table = shapeOf(getTable())[1];
  if (table % 2 || table > columns / heads)
    return emitOpError("(rope_c2) columns of the table (")
           << table << ") must be even and at most those of a head ("
           << columns / heads << ")";
  if (differ(shapeOf(getTable())[0], shapeOf(getX())[0]))
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

StateType AttentionOp::getCacheType() {
  return cacheType(getState(), getStateType());
}
StateType AppendOp::getCacheType() {
  return cacheType(getState(), getStateType());
}

LogicalResult AttentionOp::verify() {
  if (failed(verifySingleResult(*this)))
    return failure();
  int64_t q = shapeOf(getQ())[1], heads = getHeads();
  StateType state = getCacheType();
  if (!state)
    return emitOpError("expected a state operand or `state_type`");
  if (heads < 1 || q != heads * state.getHeadDim())
    return emitOpError("(attention_c1) columns of q (")
           << q << ") must be heads (" << heads << ") times the head size ("
           << state.getHeadDim() << ")";
  if (heads % state.getHeads())
    return emitOpError("(attention_c3) kv heads (")
           << state.getHeads() << ") must divide heads (" << heads << ")";
  if (int64_t(getWindow()) < 0)
    return emitOpError("(attention_c5) window must not be negative");
  if (getSinks())
    if (auto sinks = weightShape(getSinks()))
      if ((*sinks)[0] != heads)
        return emitOpError("(attention_c6) sinks must have ")
               << heads << " elements, got " << (*sinks)[0];
  if (bool(getK()) != bool(getV()))
    return emitOpError("(attention_c7) keys and values come together");
  for (Value value : {getK(), getV()}) {
    if (!value)
      continue;
    if (shapeOf(value)[1] != state.getHeads() * state.getHeadDim())
      return emitOpError("(attention_c2) columns of k and v must be ")
             << state.getHeads() * state.getHeadDim() << ", got "
             << shapeOf(value)[1];
    if (differ(shapeOf(value)[0], shapeOf(getQ())[0]))
      return emitOpError("(attention_c4) rows of q, k and v must agree");
  }
  return verifySameShape(*this, "attention_c4", getQ(), resultOf(*this));
}

bool AttentionOp::writesOperand(unsigned operand) {
  return getK() && operand == getStateMutable().getOperandNumber();
}

LogicalResult AppendOp::verify() {
  StateType state = getCacheType();
  if (!state)
    return emitOpError("expected a state operand or `state_type`");
  for (Value value : {getK(), getV()})
    if (shapeOf(value)[1] != state.getHeads() * state.getHeadDim())
      return emitOpError("(append_c1) columns of k and v must be ")
             << state.getHeads() * state.getHeadDim() << ", got "
             << shapeOf(value)[1];
  return success();
}

void AppendOp::getEffects(Effects &effects) {
  effects.emplace_back(MemoryEffects::Write::get(), &getStateMutable());
  for (OpOperand *operand : {&getKMutable(), &getVMutable()})
    if (isa<BaseMemRefType>(operand->get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), operand);
}
