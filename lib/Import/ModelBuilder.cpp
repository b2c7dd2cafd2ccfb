//===- ModelBuilder.cpp - From a model's config to IR ---------------------===//
//
// Part of moe-mlir. Rounding points: the residual stream, queries, keys and
// values are f32; what a product with weights reads (outputs of norms, of
// attention, of activations) has the activation type; the KV cache has a type
// of its own.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/ModelBuilder.h"

#include "dialects/LM/IR/WeightFormat.h"
#include "dialects/MoE/IR/MoEDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <cmath>

using namespace mlir;

namespace {
constexpr int64_t kDynamic = ShapedType::kDynamic;

class ModelBuilder {
public:
  ModelBuilder(MLIRContext &context, const ::moe::ModelConfig &config,
               const ::moe::StepTypes &types)
      : builder(&context), loc(builder.getUnknownLoc()), config(config),
        types(types) {}

  OwningOpRef<ModuleOp> build();

private:
  Type typeOf(::moe::ElementType type);
  /// Of weights.
  Type element() { return typeOf(config.weightType); }
  RankedTensorType rows(int64_t columns, Type type) {
    return RankedTensorType::get({kDynamic, columns}, type);
  }
  RankedTensorType wide(int64_t columns) {
    return rows(columns, builder.getF32Type());
  }
  RankedTensorType weight(ArrayRef<int64_t> shape) {
    return RankedTensorType::get(shape, element());
  }

  /// The weights that one layer's function takes, by name without prefix.
  SmallVector<std::pair<std::string, RankedTensorType>>
  layerWeights(const ::moe::LayerConfig &layer);
  func::FuncOp buildLayer(const ::moe::LayerConfig &layer, unsigned number);
  Value buildAttention(Value hidden, func::FuncOp function, Value table,
                       const ::moe::LayerConfig &layer);
  Value buildFeedForward(Value hidden, const ::moe::LayerConfig &layer);
  Value norm(Value x, StringRef name, int64_t groups = 1, Type type = {},
             std::optional<double> clip = {});
  Value linear(Value x, StringRef name, int64_t columns, bool bias = false,
               std::optional<double> clip = {});
  Value residual(Value a, Value b);
  Value declare(StringRef name, RankedTensorType type);
  void buildStep(ArrayRef<func::FuncOp> layers);
  lm::StateType stateType();

  OpBuilder builder;
  Location loc;
  const ::moe::ModelConfig &config;
  const ::moe::StepTypes &types;
  ModuleOp module;
  /// Weights in scope, by name without prefix.
  llvm::StringMap<Value> scope;
};
} // namespace

Type ModelBuilder::typeOf(::moe::ElementType type) {
  switch (type) {
  case ::moe::ElementType::BF16:
    return builder.getBF16Type();
  case ::moe::ElementType::F16:
    return builder.getF16Type();
  default:
    return builder.getF32Type();
  }
}

lm::StateType ModelBuilder::stateType() {
  Type known[] = {builder.getF32Type(), builder.getF16Type(),
                  builder.getBF16Type(), builder.getI8Type()};
  SmallVector<Type> elements;
  for (::moe::CacheType cache : types.caches)
    elements.push_back(known[int(cache)]);
  return lm::StateType::get(builder.getContext(), config.kvHeads,
                            config.headDim, elements);
}

SmallVector<std::pair<std::string, RankedTensorType>>
ModelBuilder::layerWeights(const ::moe::LayerConfig &layer) {
  SmallVector<std::pair<std::string, RankedTensorType>> list;
  auto add = [&](StringRef name, ArrayRef<int64_t> shape) {
    list.push_back({name.str(), weight(shape)});
  };
  int64_t hidden = config.hidden, q = config.queryWidth(),
          kv = config.keyWidth();
  add("input_norm", {hidden});
  auto projection = [&](StringRef name, int64_t n, int64_t k, bool bias) {
    add(("attn." + name).str(), {n, k});
    if (bias)
      add(("attn." + name + "_bias").str(), {n});
  };
  projection("q", q, hidden, config.qBias);
  projection("k", kv, hidden, config.kBias);
  projection("v", kv, hidden, config.vBias);
  if (config.qkNorm != ::moe::QKNorm::None) {
    bool perHead = config.qkNorm == ::moe::QKNorm::PerHead;
    add("attn.q_norm", {perHead ? config.headDim : q});
    add("attn.k_norm", {perHead ? config.headDim : kv});
  }
  projection("o", hidden, q, config.oBias);
  add("post_norm", {hidden});
  if (!layer.sparse) {
    add("mlp.gate_up", {2 * layer.denseIntermediate, hidden});
    add("mlp.down", {hidden, layer.denseIntermediate});
    return list;
  }
  int64_t width = layer.expertIntermediate, experts = layer.experts;
  add("router", {experts, hidden});
  add("experts.gate_up", {experts, 2 * width, hidden});
  add("experts.down", {experts, hidden, width});
  if (int64_t shared = layer.sharedIntermediate) {
    add("shared.gate_up", {2 * shared, hidden});
    add("shared.down", {hidden, shared});
    if (layer.sharedGated)
      add("shared_gate", {1, hidden});
  }
  return list;
}

/// Matrices, but for those that decide where a row goes or how much of it: a
/// router, and the gate of a shared expert.
static bool isQuantisable(StringRef name, RankedTensorType type) {
  return type.getRank() >= 2 && name != "router" && name != "shared_gate";
}

Value ModelBuilder::norm(Value x, StringRef name, int64_t groups, Type type,
                         std::optional<double> clip) {
  int64_t columns = cast<RankedTensorType>(x.getType()).getDimSize(1);
  FloatAttr limit = clip ? builder.getF64FloatAttr(*clip) : FloatAttr();
  return lm::RMSNormOp::create(
             builder, loc,
             rows(columns, type ? type : typeOf(types.activation)), x,
             scope.lookup(name), builder.getF64FloatAttr(config.rmsEps),
             builder.getI64IntegerAttr(groups), limit, ValueRange())
      .getResult(0);
}

Value ModelBuilder::linear(Value x, StringRef name, int64_t columns, bool bias,
                           std::optional<double> clip) {
  FloatAttr limit = clip ? builder.getF64FloatAttr(*clip) : FloatAttr();
  Value b = bias ? scope.lookup((name + "_bias").str()) : Value();
  return lm::LinearOp::create(builder, loc, wide(columns), x,
                              scope.lookup(name), b, limit, ValueRange(),
                              lm::FormatAttr())
      .getResult(0);
}

Value ModelBuilder::residual(Value a, Value b) {
  return lm::AddOp::create(builder, loc, a.getType(), a, b, ValueRange())
      .getResult(0);
}

/// h + o(attention(norm(h))).
Value ModelBuilder::buildAttention(Value hidden, func::FuncOp function,
                                   Value table,
                                   const ::moe::LayerConfig &layer) {
  int64_t qWidth = config.queryWidth(), kvWidth = config.keyWidth();
  bool normed = config.qkNorm != ::moe::QKNorm::None;
  Type f32 = builder.getF32Type();
  Value x = norm(hidden, "input_norm");
  auto project = [&](StringRef name, int64_t width, int64_t heads, bool bias,
                     Type type) {
    // Clipping follows the norm where there is one.
    Value y = linear(x, ("attn." + name).str(), width, bias,
                     normed ? std::nullopt : config.clipQKV);
    if (normed)
      y = norm(y, ("attn." + name + "_norm").str(),
               config.qkNorm == ::moe::QKNorm::PerHead ? heads : 1, f32,
               config.clipQKV);
    return lm::RopeOp::create(builder, loc, rows(width, type), y, table,
                              builder.getI64IntegerAttr(heads),
                              lm::RopeStyleAttr::get(builder.getContext(),
                                                     lm::RopeStyle::Halves),
                              ValueRange())
        .getResult(0);
  };
  // Keys are rounded when they are stored, as what the cache holds.
  Value q =
      project("q", qWidth, config.heads, config.qBias, typeOf(types.queries));
  Value k = project("k", kvWidth, config.kvHeads, config.kBias, f32);
  Value v = linear(x, "attn.v", kvWidth, config.vBias, config.clipQKV);
  Value attended =
      lm::AttentionOp::create(
          builder, loc, rows(qWidth, typeOf(types.activation)), q, k, v,
          function.getArgument(2), function.getArgument(3), Value(),
          builder.getI64IntegerAttr(config.heads),
          builder.getF64FloatAttr(1.0 / std::sqrt(double(config.headDim))),
          builder.getI64IntegerAttr(layer.slidingWindow), ValueRange(), Value(),
          ValueRange(), TypeAttr())
          .getResult(0);
  return residual(hidden,
                  linear(attended, "attn.o", config.hidden, config.oBias));
}

/// h + mlp(norm(h)), dense or sparse.
Value ModelBuilder::buildFeedForward(Value hidden,
                                     const ::moe::LayerConfig &layer) {
  Value x = norm(hidden, "post_norm");
  auto silu = lm::Activation::SiLU;
  if (!layer.sparse) {
    int64_t width = layer.denseIntermediate;
    Value pair = linear(x, "mlp.gate_up", 2 * width);
    Value h =
        lm::GatedOp::create(builder, loc, rows(width, typeOf(types.activation)),
                            pair, silu, ValueRange())
            .getResult(0);
    return residual(hidden, linear(h, "mlp.down", config.hidden));
  }
  auto renormalize = layer.router.normTopkProb ? mlir::moe::Renormalize::L1
                                               : mlir::moe::Renormalize::None;
  auto router = mlir::moe::RouterConfigAttr::get(
      builder.getContext(), mlir::moe::Score::Softmax,
      mlir::moe::SelectKey::ByScore, layer.topK, 1, 1,
      mlir::moe::GroupScore::Max, mlir::moe::MaskedKey::NegInf, renormalize,
      FloatAttr(), FloatAttr(), FloatAttr());
  return mlir::moe::LayerOp::create(
      builder, loc, wide(config.hidden), x, scope.lookup("router"), Value(),
      scope.lookup("experts.gate_up"), scope.lookup("experts.down"),
      scope.lookup("shared.gate_up"), scope.lookup("shared.down"),
      scope.lookup("shared_gate"), hidden, router,
      lm::ActivationAttr::get(builder.getContext(), silu),
      builder.getI64IntegerAttr(0));
}

func::FuncOp ModelBuilder::buildLayer(const ::moe::LayerConfig &layer,
                                      unsigned number) {
  SmallVector<Type> inputs = {wide(config.hidden),
                              wide(2 * config.invFreq.size()), stateType(),
                              builder.getIndexType()};
  auto weights = layerWeights(layer);
  for (auto &[name, type] : weights)
    inputs.push_back(type);
  builder.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(
      builder, loc, "layer_" + std::to_string(number),
      builder.getFunctionType(inputs, {wide(config.hidden)}));
  function.setPrivate();
  builder.setInsertionPointToStart(function.addEntryBlock());
  scope.clear();
  for (auto [i, named] : llvm::enumerate(weights)) {
    auto &[name, type] = named;
    scope[name] = function.getArgument(4 + i);
    if (types.format && isQuantisable(name, type))
      function.setArgAttr(
          4 + i, lm::kFormatAttr,
          lm::FormatAttr::get(builder.getContext(), *types.format));
  }
  Value hidden = buildAttention(function.getArgument(0), function,
                                function.getArgument(1), layer);
  hidden = buildFeedForward(hidden, layer);
  func::ReturnOp::create(builder, loc, hidden);
  return function;
}

Value ModelBuilder::declare(StringRef name, RankedTensorType type) {
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(module.getBody(), module.getBody()->begin());
    // Declarations stay in order of use: after those that are there.
    for (Operation &op : *module.getBody()) {
      if (!isa<lm::WeightsOp>(op))
        break;
      builder.setInsertionPointAfter(&op);
    }
    lm::WeightsOp::create(builder, loc, builder.getStringAttr(name),
                          TypeAttr::get(type), StringAttr(), IntegerAttr());
  }
  return lm::WeightOp::create(
      builder, loc, type, FlatSymbolRefAttr::get(builder.getContext(), name));
}

void ModelBuilder::buildStep(ArrayRef<func::FuncOp> layers) {
  builder.setInsertionPointToEnd(module.getBody());
  Type index = builder.getIndexType();
  auto tokens = RankedTensorType::get({kDynamic}, builder.getI32Type());
  auto step = func::FuncOp::create(
      builder, loc, "moe_step",
      builder.getFunctionType({tokens, index, index}, {wide(config.vocab)}));
  step->setAttr("lm.step", builder.getUnitAttr());
  step->setAttr("llvm.emit_c_interface", builder.getUnitAttr());
  builder.setInsertionPointToStart(step.addEntryBlock());
  Value ids = step.getArgument(0), position = step.getArgument(1);
  Value hidden = lm::EmbeddingOp::create(
                     builder, loc, wide(config.hidden), ids,
                     declare("embed", weight({config.vocab, config.hidden})),
                     builder.getF64FloatAttr(1.0), ValueRange())
                     .getResult(0);
  int64_t half = config.invFreq.size();
  Value frequencies = declare(
      "rope.inv_freq", RankedTensorType::get({half}, builder.getF32Type()));
  Value table =
      lm::RopeTableOp::create(
          builder, loc, wide(2 * half), frequencies, position, ids,
          builder.getF64FloatAttr(config.attentionScaling), ValueRange())
          .getResult(0);
  for (auto [i, layer] : llvm::enumerate(layers)) {
    Value state = lm::LayerStateOp::create(builder, loc, stateType(), i);
    SmallVector<Value> operands = {hidden, table, state, position};
    for (auto &[name, type] : layerWeights(config.layers[i]))
      operands.push_back(
          declare("layers." + std::to_string(i) + "." + name, type));
    hidden = func::CallOp::create(builder, loc, layer, operands).getResult(0);
  }
  hidden = lm::LastRowsOp::create(builder, loc, wide(config.hidden), hidden,
                                  step.getArgument(2), ValueRange())
               .getResult(0);
  scope.clear();
  scope["final_norm"] = declare("final_norm", weight({config.hidden}));
  scope["head"] = declare("head", weight({config.vocab, config.hidden}));
  Value logits = linear(norm(hidden, "final_norm"), "head", config.vocab);
  func::ReturnOp::create(builder, loc, logits);
}

OwningOpRef<ModuleOp> ModelBuilder::build() {
  OwningOpRef<ModuleOp> owner(ModuleOp::create(loc));
  module = *owner;
  SmallVector<std::pair<::moe::LayerConfig, func::FuncOp>> distinct;
  SmallVector<func::FuncOp> layers;
  for (const ::moe::LayerConfig &layer : config.layers) {
    auto known = llvm::find_if(
        distinct, [&](const auto &pair) { return pair.first == layer; });
    if (known == distinct.end()) {
      distinct.push_back({layer, buildLayer(layer, distinct.size())});
      known = std::prev(distinct.end());
    }
    layers.push_back(known->second);
  }
  buildStep(layers);
  return owner;
}

OwningOpRef<ModuleOp>(::moe::buildModel)(MLIRContext &context,
                                         const ModelConfig &config,
                                         const StepTypes &types) {
  return ModelBuilder(context, config, types).build();
}

static constexpr llvm::StringLiteral kCacheTypeNames[] = {"f32", "f16", "bf16",
                                                          "q8_0"};

StringRef(::moe::cacheTypeName)(CacheType type) {
  return kCacheTypeNames[int(type)];
}

std::optional<::moe::CacheType>(::moe::parseCacheTypeName)(StringRef name) {
  for (auto [i, known] : llvm::enumerate(kCacheTypeNames))
    if (name == known)
      return CacheType(i);
  return std::nullopt;
}

static ::moe::CacheType cacheTypeOf(::moe::ElementType weights) {
  switch (weights) {
  case ::moe::ElementType::BF16:
    return ::moe::CacheType::BF16;
  case ::moe::ElementType::F16:
    return ::moe::CacheType::F16;
  default:
    return ::moe::CacheType::F32;
  }
}

std::vector<::moe::CacheType>(::moe::defaultCacheTypes)(
    const ModelConfig &config) {
  std::vector<CacheType> types = {cacheTypeOf(config.weightType)};
  for (CacheType type :
       {CacheType::F32, CacheType::F16, CacheType::BF16, CacheType::Q8_0})
    if (type != types.front())
      types.push_back(type);
  return types;
}
