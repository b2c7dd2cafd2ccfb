//===- MoEDialect.td - The moe dialect: its types and attributes ----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_TD
#define MOE_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def MoE_Dialect : Dialect {
  let name = "moe";
  let cppNamespace = "::mlir::moe";
  let dependentDialects = ["::mlir::lm::LMDialect"];
  let summary = "Sparse Mixture-of-Experts: router, dispatch, experts, combine";
  let description = [{
    Letters: T tokens, D hidden size, F expert width, E experts, k chosen a
    token. Every computing op has a value form on tensors and a buffer form on
    memrefs, as in the `lm` dialect.

    Keys by which experts are chosen compare so: NaN below -inf; -0 equals +0;
    ties go to the lower id; with fewer than k eligible experts the remaining
    slots take the lowest unused ids with weight 0.

    Canonicalization keeps every bit. So it leaves alone: a router that chooses
    all experts (the order of its ids is the order in which combine sums), one
    expert with l1 (its weight is NaN, not 1, where a logit is not finite), a
    shared expert with zero weights (0 * inf is NaN, and -0 + 0 is +0) and a
    residual added after a combine (phase `fused` makes it the first summand).
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerTypes();
  }];
}

class MoE_Enum<string name, string summary, list<I32EnumCase> cases>
    : I32Enum<name, summary, cases> {
  let cppNamespace = "::mlir::moe";
}

def MoE_Score : MoE_Enum<"Score", "how logits become scores", [
  I32EnumCase<"Softmax", 0, "softmax">,
  I32EnumCase<"Sigmoid", 1, "sigmoid">,
  I32EnumCase<"SqrtSoftplus", 2, "sqrt_softplus">,
  I32EnumCase<"Identity", 3, "identity">,
  I32EnumCase<"SparseMixer", 4, "sparse_mixer">
]>;
def MoE_SelectKey : MoE_Enum<"SelectKey", "what the k largest are taken of", [
  I32EnumCase<"ByScore", 0, "score">,
  I32EnumCase<"ByBiasedScore", 1, "biased_score">,
  I32EnumCase<"ByLogit", 2, "logit">
]>;
def MoE_GroupScore : MoE_Enum<"GroupScore", "how a group of experts is ranked", [
  I32EnumCase<"Max", 0, "max">,
  I32EnumCase<"TopTwoSum", 1, "top2_sum">
]>;
def MoE_MaskedKey : MoE_Enum<"MaskedKey", "key of experts in losing groups", [
  I32EnumCase<"NegInf", 0, "neg_inf">,
  I32EnumCase<"Zero", 1, "zero">
]>;
def MoE_Renormalize : MoE_Enum<"Renormalize", "how chosen weights are rescaled", [
  I32EnumCase<"None", 0, "none">,
  I32EnumCase<"L1", 1, "l1">,
  I32EnumCase<"Lp", 2, "lp">,
  I32EnumCase<"SoftmaxOverChosen", 3, "softmax">,
  I32EnumCase<"ClampedSum", 4, "clamped_sum">
]>;
def MoE_Overflow : MoE_Enum<"Overflow",
    "which choices a full expert turns away", [
  I32EnumCase<"None", 0, "none">,
  I32EnumCase<"Position", 1, "position">,
  I32EnumCase<"SlotMajor", 2, "slot_major">,
  I32EnumCase<"Probability", 3, "probability">
]>;
def MoE_OverflowAttr : EnumAttr<MoE_Dialect, MoE_Overflow, "overflow"> {
  let assemblyFormat = "`<` $value `>`";
}

class MoE_Attr<string name, string attrMnemonic> : AttrDef<MoE_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def MoE_RouterAttr : MoE_Attr<"RouterConfig", "router"> {
  let summary = "a router: from logits to k weighted experts a token";
  let description = [{
    One attribute for the whole family of published routers.

    1. `score`: s = softmax(logits) over all experts, sigmoid, sqrt(softplus),
       the logits themselves, or SparseMixer (Phi-3.5-MoE, evaluation form).
    2. `select`: keys are s, s + bias, or the logits.
    3. With `groups` > 1, groups are ranked by the maximum or the sum of the
       two largest keys of their members; experts outside the best
       `top_groups` get the key `masked`.
    4. The `top_k` largest keys are chosen, in descending order of key.
    5. Weights are s of the chosen (never the biased key), then
       `renormalize`: l1 divides by (sum + eps); lp by the p-norm; softmax
       takes a softmax over the chosen logits; clamped_sum divides by
       max(sum, eps).
    6. `scale` multiplies the weights.

    | system | attribute |
    |---|---|
    | Mixtral | `<top_k = 2, renormalize = l1>` |
    | OLMoE | `<top_k = 8>` |
    | DeepSeek-V3 | `<score = sigmoid, select = biased_score, top_k = 8, groups = 8, top_groups = 4, group_score = top2_sum, renormalize = l1, eps = 1.0e-20, scale = 2.5>` |
    | gpt-oss | `<score = identity, select = logit, top_k = 4, renormalize = softmax>` |
    | Llama 4 | `<score = sigmoid, select = logit, top_k = 1>`, weight on the input |
    | Switch | `<top_k = 1>` |
    | Phi-3.5-MoE | `<score = sparse_mixer, top_k = 2, eps = 0.01>` |
  }];
  let parameters = (ins
    DefaultValuedParameter<"::mlir::moe::Score", "::mlir::moe::Score::Softmax">:$score,
    DefaultValuedParameter<"::mlir::moe::SelectKey", "::mlir::moe::SelectKey::ByScore">:$select,
    "int64_t":$top_k,
    DefaultValuedParameter<"int64_t", "1">:$groups,
    DefaultValuedParameter<"int64_t", "1">:$top_groups,
    DefaultValuedParameter<"::mlir::moe::GroupScore", "::mlir::moe::GroupScore::Max">:$group_score,
    DefaultValuedParameter<"::mlir::moe::MaskedKey", "::mlir::moe::MaskedKey::NegInf">:$masked,
    DefaultValuedParameter<"::mlir::moe::Renormalize", "::mlir::moe::Renormalize::None">:$renormalize,
    OptionalParameter<"::mlir::FloatAttr">:$p,
    OptionalParameter<"::mlir::FloatAttr">:$eps,
    OptionalParameter<"::mlir::FloatAttr">:$scale);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The value of an optional number, or what stands for its absence.
    double getPOr(double value) const {
      return getP() ? getP().getValueAsDouble() : value;
    }
    double getEpsOr(double value) const {
      return getEps() ? getEps().getValueAsDouble() : value;
    }
    double getScaleOr(double value) const {
      return getScale() ? getScale().getValueAsDouble() : value;
    }
    /// Checks what depends on the number of experts.
    ::mlir::LogicalResult verifyExperts(
        ::llvm::function_ref<::mlir::InFlightDiagnostic()> emitError,
        int64_t experts) const;
  }];
}

class MoE_Type<string name, string typeMnemonic> : TypeDef<MoE_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def MoE_PlanType : MoE_Type<"Plan", "plan"> {
  let summary = "where each (token, slot) goes";
  let description = [{
    `!moe.plan<64, 8>`: rows grouped by expert, for 64 experts and 8 slots a
    token. Phase `buffers` expands it to four i32 buffers: `offsets` [E+1]
    (rows of expert e are offsets[e] .. offsets[e+1]-1), `work` [E+1] (prefix
    sums of what an expert costs, for dividing work between threads), `token`
    [T*k] (row -> token) and `row` [T*k] (token*k + slot -> row, or -1 where a
    choice was turned away).
  }];
  let parameters = (ins "int64_t":$experts, "int64_t":$slots);
  let assemblyFormat = "`<` $experts `,` $slots `>`";
  let genVerifyDecl = 1;
}

#endif // MOE_DIALECT_TD
