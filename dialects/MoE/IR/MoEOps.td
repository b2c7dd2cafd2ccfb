//===- MoEOps.td - Operations of the moe dialect --------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_OPS_TD
#define MOE_OPS_TD

include "dialects/LM/IR/LMOps.td"
include "dialects/MoE/IR/MoEDialect.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class MoE_Op<string mnemonic, list<Trait> traits = []>
    : Op<MoE_Dialect, mnemonic, traits>;

class MoE_TwoFormsOp<string mnemonic, list<Trait> traits = []>
    : MoE_Op<mnemonic, traits # [
        DeclareOpInterfaceMethods<LM_TwoForms, ["getRowsPerToken", "getRowsOperand"]>,
        DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
        DeclareOpInterfaceMethods<ConditionallySpeculatable>,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let hasVerifier = 1;
}

def MoE_Ids : AnyTypeOf<[2DTensorOf<[I32]>, MemRefRankOf<[I32], [2]>],
                        "a 2-D tensor or memref of i32">;
/// A plan, or in buffer form its four buffers.
def MoE_PlanLike : AnyTypeOf<[MoE_PlanType, MemRefRankOf<[I32], [1]>],
                             "a plan or one of its buffers">;
def MoE_Routing : AnyTypeOf<[LM_Rows, MoE_Ids], "weights or ids">;
def MoE_RoutingOrPlan : AnyTypeOf<[LM_Rows, MoE_Ids, MoE_PlanLike],
                                  "weights, ids, a plan or one of its buffers">;

//===----------------------------------------------------------------------===//
// The whole block
//===----------------------------------------------------------------------===//

def MoE_LayerOp : MoE_Op<"layer", [AttrSizedOperandSegments, Pure]> {
  let summary = "a whole Mixture-of-Experts block";
  let description = [{
    Router, experts, optional shared expert and combine, as importers emit it
    and as a person writes it. Shapes: x [T,D], gate [E,D], gate_up [E,2F,D]
    (gate rows first), down [E,D,F], shared_gate_up [2S,D], shared_down [D,S],
    shared_gate [1,D]; result [T,D].

      w, ids = router(x * gate^T)
      y      = sum_s w[t,s] * down[ids[t,s]] * (act(gate) * up)(x[t])
      result = residual + y + sigmoid(x . shared_gate) * shared(x)

    ```mlir
    %y = moe.layer %x router(%gate) experts(%gu, %down) <top_k = 2, renormalize = l1> <silu>
        : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
    ```
    `record = i` marks the routing as the i-th that the model records.

    Constraints:
    - (layer_c1) columns of x, gate, gate_up and rows of down agree (D); all
      columns are static.
    - (layer_c2) gate, gate_up and down have one number of experts (E).
    - (layer_c3) rows of gate_up = 2 * columns of down.
    - (layer_c4) the result has the shape of x in f32 or x's element type.
    - (layer_c5) the router fits E experts.
    - (layer_c6) the bias has E elements; there is one if and only if the
      router selects by biased_score.
    - (layer_c7) the shared expert's shapes fit D; shared_gate needs a shared
      expert.
    - (layer_c8) the residual has the shape of the result.
    - (layer_c9) record >= 0.
  }];
  let arguments = (ins 2DTensorOf<[F32, BF16, F16, F64]>:$x,
                       LM_LogicalWeight:$gate, Optional<LM_Vector>:$bias,
                       LM_LogicalWeight:$gate_up, LM_LogicalWeight:$down,
                       Optional<LM_LogicalWeight>:$shared_gate_up,
                       Optional<LM_LogicalWeight>:$shared_down,
                       Optional<LM_LogicalWeight>:$shared_gate,
                       Optional<2DTensorOf<[F32, BF16, F16, F64]>>:$residual,
                       MoE_RouterAttr:$config, LM_ActivationAttr:$function,
                       OptionalAttr<I64Attr>:$record);
  let results = (outs 2DTensorOf<[F32, BF16, F16, F64]>:$result);
  let assemblyFormat = [{
    $x `router` `(` $gate (`bias` $bias^)? `)` `experts` `(` $gate_up `,` $down `)`
    (`shared` `(` $shared_gate_up^ `,` $shared_down (`gate` $shared_gate^)? `)`)?
    (`residual` `(` $residual^ `)`)? $config $function
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

def MoE_RouterOp : MoE_TwoFormsOp<"router", [AttrSizedOperandSegments]> {
  let summary = "logits -> weights and ids of the chosen experts";
  let description = [{
    Shapes: logits [T,E], bias [E]; results weights f32 [T,k], ids i32 [T,k]
    in descending order of key. See #moe.router for what is computed; all of it
    in f32 or wider.

    ```mlir
    %w, %ids = moe.router %logits <top_k = 2>
        : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
    ```
    Static routing (hash layers): `static_ids` i32 [T,k] are the ids, and only
    the weights come from the scores.

    Constraints:
    - (router_c1) columns of weights and ids = top_k.
    - (router_c2) the router fits the columns of the logits (E).
    - (router_c3) the bias has E elements; there is one if and only if the
      router selects by biased_score.
    - (router_c4) rows of weights and ids = rows of the logits.
    - (router_c5) static ids have the shape of ids.
    - (router_c6) there are two results: weights of f32 and ids of i32.
  }];
  let arguments = (ins LM_Rows:$logits, Optional<LM_Vector>:$bias,
                       Optional<MoE_Ids>:$static_ids, MoE_RouterAttr:$config,
                       Variadic<MoE_Routing>:$outs);
  let results = (outs Variadic<MoE_Routing>:$results);
  let assemblyFormat = [{
    $logits (`bias` `(` $bias^ `)`)? (`static_ids` `(` $static_ids^ `)`)?
    $config (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

def MoE_DispatchOp : MoE_TwoFormsOp<"dispatch", [AttrSizedOperandSegments]> {
  let summary = "ids -> plan";
  let description = [{
    Groups the (token, slot) pairs by expert, in ascending token and slot.
    Dropless unless `capacity` is given: then an expert takes at most
    `capacity` rows (an absolute number, or ceil(factor * T * k / E) when
    `capacity_factor` is given, at least `min_capacity`), and `overflow` says
    which are turned away: `position` the last in token order (GShard, Switch
    in transformers), `slot_major` ranks all first choices before all second
    ones (Flaxformer, Mesh-TensorFlow), `probability` the smallest weights
    (DeepSpeed, k > 2), which needs `weights`. A turned-away choice
    contributes nothing to combine, nor does an id of `experts` or more (a
    zero-compute expert).

    ```mlir
    %plan = moe.dispatch %ids experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
    ```
    Constraints:
    - (dispatch_c1) the plan has `experts` experts and as many slots as ids has
      columns.
    - (dispatch_c2) an overflow policy and a capacity come together.
    - (dispatch_c3) `probability` needs weights of the shape of ids.
    - (dispatch_c4) capacity and capacity_factor are positive, and not both;
      min_capacity >= 0.
    - (dispatch_c5) there is one plan, in buffer form four buffers.
    - (dispatch_c6) experts >= 1, and there is at most one block of weights.
  }];
  let arguments = (ins MoE_Ids:$ids, Variadic<LM_Rows>:$weights,
                       I64Attr:$experts,
                       OptionalAttr<I64Attr>:$capacity,
                       OptionalAttr<F64Attr>:$capacity_factor,
                       DefaultValuedAttr<I64Attr, "1">:$min_capacity,
                       DefaultValuedAttr<MoE_OverflowAttr, "::mlir::moe::Overflow::None">:$overflow,
                       Variadic<MoE_PlanLike>:$outs);
  let results = (outs Variadic<MoE_PlanType>:$results);
  let assemblyFormat = [{
    $ids (`weights` `(` $weights^ `)`)? `experts` `(` $experts `)` (`outs` `(` $outs^ `)`)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

def MoE_RouteOp : MoE_TwoFormsOp<"route", [AttrSizedOperandSegments]> {
  let summary = "projection, router and dispatch, fused";
  let description = [{
    `moe.dispatch(moe.router(lm.linear(x, gate)))`; logits in f32, never in
    memory beyond a thread's scratch. Results: weights, ids and the plan. Phase
    `buffers` parts the dispatch off: then there is no plan.

    ```mlir
    %w, %ids, %plan = moe.route %x, %gate <top_k = 2> experts(8)
        : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 2>)
    ```
    Constraints:
    - (route_c1) the gate is [E,D]: columns of x, and `experts` rows.
    - (route_c2) weights are f32, ids i32, with top_k columns and the rows of x;
      the plan, if any, has E experts and top_k slots.
    - (route_c3) the router fits E experts.
    - (route_c4) the bias has E elements; there is one if and only if the
      router selects by biased_score.
  }];
  let arguments = (ins LM_Rows:$x, LM_Weight:$gate, Optional<LM_Vector>:$bias,
                       MoE_RouterAttr:$config, I64Attr:$experts,
                       Variadic<MoE_RoutingOrPlan>:$outs);
  let results = (outs Variadic<MoE_RoutingOrPlan>:$results);
  let assemblyFormat = [{
    $x `,` $gate (`bias` `(` $bias^ `)`)? $config `experts` `(` $experts `)`
    (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

def MoE_GroupedMatmulOp : MoE_TwoFormsOp<"grouped_matmul", [AttrSizedOperandSegments, IsolatedFromAbove]> {
  let summary = "rows grouped by expert times that expert's weight";
  let description = [{
    For row r of expert e: `acc[r,n] = sum_k in[r,k] * weight[e,n,k] + bias[e,n]`
    with `in[r] = x[token(r)]` if `gather`, else x[r]; times `row_scale[r's
    token, slot]` on the input if given (Llama 4). Shapes: x [T,K] or [T*k,K],
    weight [E,N,K], result [T*k,N] (or [T*k,N/2] with `function`, which makes
    the epilogue act(acc[:N/2]) * acc[N/2:]). Rows behind those of the plan,
    for choices without a row, hold what the epilogue makes of 0.

    ```mlir
    %h = moe.grouped_matmul gather %x, %gu by %plan epilogue <silu>
        : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
    %y = moe.grouped_matmul %h, %down by %plan
        : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
    ```
    The epilogue may also be a region over f32 scalars, which receives acc (or
    the pair of a gate and an up column with `paired`) and yields one f32:

    ```mlir
    %h = moe.grouped_matmul gather %x, %gu by %plan {paired}
        : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32> {
    ^bb0(%g: f32, %u: f32):
      %p = arith.mulf %g, %u : f32
      moe.yield %p : f32
    }
    ```
    Constraints:
    - (grouped_matmul_c1) columns of x = columns of the weight.
    - (grouped_matmul_c2) experts of the weight = experts of the plan.
    - (grouped_matmul_c3) columns of the result = rows of one matrix, or half
      of them with `function` or `paired`.
    - (grouped_matmul_c4) bias is [E,N].
    - (grouped_matmul_c5) row_scale has as many columns as the plan has slots.
    - (grouped_matmul_c6) a region and `function` exclude each other; the
      region takes one f32, two if `paired`, and yields one f32. `paired` needs
      a region.
    - (grouped_matmul_c7) there is one plan, in buffer form four buffers.
    - (grouped_matmul_c8) the result has the rows of x, times the slots of the
      plan with `gather`.
  }];
  let arguments = (ins LM_Rows:$x, LM_Weight:$weight,
                       Variadic<MoE_PlanLike>:$plan,
                       Optional<LM_Weight>:$bias, Optional<LM_Rows>:$row_scale,
                       UnitAttr:$gather, UnitAttr:$paired,
                       OptionalAttr<LM_ActivationAttr>:$function,
                       Variadic<LM_Rows>:$outs,
                       OptionalAttr<LM_FormatAttr>:$weight_format);
  let results = (outs Variadic<LM_Rows>:$results);
  let regions = (region MaxSizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    (`gather` $gather^)? $x `,` $weight `by` $plan
    (`bias` `(` $bias^ `)`)? (`row_scale` `(` $row_scale^ `)`)? (`epilogue` $function^)?
    (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results) ($epilogue^)?
  }];
}

def MoE_YieldOp : MoE_Op<"yield", [Pure, Terminator, ReturnLike,
    HasParent<"GroupedMatmulOp">]> {
  let summary = "ends an epilogue";
  let arguments = (ins F32:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

def MoE_ExpertFFNOp : MoE_TwoFormsOp<"expert_ffn", [AttrSizedOperandSegments]> {
  let summary = "gather, gate and up, activation, down: fused";
  let description = [{
    Both grouped products of a gated expert; the intermediate [T*k,F] is
    rounded to x's element type. Shapes: x [T,D], gate_up [E,2F,D],
    down [E,D,F]; result f32 [T*k,D], rows in the plan's order.

    ```mlir
    %y = moe.expert_ffn %x, %gu, %down by %plan <silu>
        : (tensor<?x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
    ```
    Constraints:
    - (expert_ffn_c1) columns of x = columns of gate_up; columns of the result
      = rows of down.
    - (expert_ffn_c2) gate_up, down and the plan have one number of experts.
    - (expert_ffn_c3) rows of gate_up = 2 * columns of down.
    - (expert_ffn_c4) there is one plan, in buffer form four buffers.
    - (expert_ffn_c5) the result has the rows of x times the slots of the plan.
  }];
  let arguments = (ins LM_Rows:$x, LM_Weight:$gate_up, LM_Weight:$down,
                       Variadic<MoE_PlanLike>:$plan, LM_ActivationAttr:$function,
                       Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $x `,` $gate_up `,` $down `by` $plan $function (`outs` `(` $outs^ `)`)?
    attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_CombineOp : MoE_TwoFormsOp<"combine", [AttrSizedOperandSegments]> {
  let summary = "weighted sum of a token's expert outputs, in slot order";
  let description = [{
    `result[t] = residual[t] + sum_s weights[t,s] * y[row(t,s)] + bias`: a
    gather and a sum in ascending slot order, never a scatter. Slots that were
    turned away contribute nothing. `identity` [T,D] stands for the output of
    zero-compute experts, ids >= `identity_from` (LongCat-Flash), which needs
    `ids`.

    ```mlir
    %r = moe.combine %y, %w by %plan residual(%x)
        : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, tensor<?x64xf32>) -> tensor<?x64xf32>
    ```
    Constraints:
    - (combine_c1) columns of the result, y, residual and identity agree.
    - (combine_c2) columns of weights = slots of the plan.
    - (combine_c3) rows of the result = rows of weights.
    - (combine_c4) identity, ids and identity_from come together.
    - (combine_c5) the bias has as many elements as the result has columns.
    - (combine_c6) there is one plan, in buffer form four buffers.
    - (combine_c7) rows of residual, identity and ids are those of the result;
      ids have as many columns as weights; y has the rows of the result times
      the slots of the plan.
  }];
  let arguments = (ins LM_Rows:$y, LM_Rows:$weights, Variadic<MoE_PlanLike>:$plan,
                       Optional<LM_Rows>:$residual, Optional<LM_Vector>:$bias,
                       Optional<LM_Rows>:$identity, Optional<MoE_Ids>:$ids,
                       OptionalAttr<I64Attr>:$identity_from,
                       Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $y `,` $weights `by` $plan (`residual` `(` $residual^ `)`)? (`bias` `(` $bias^ `)`)?
    (`identity` `(` $identity^ `,` $ids `)`)? (`outs` `(` $outs^ `)`)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// Telemetry and losses
//===----------------------------------------------------------------------===//

def MoE_RecordOp : MoE_Op<"record", [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
                                     AttrSizedOperandSegments]> {
  let summary = "records the routing of one layer, if the caller asks for it";
  let description = [{
    The routing becomes part of what the step gives to its caller, under the
    number `index`.

    ```mlir
    moe.record %w, %ids {index = 0 : i64} : tensor<?x2xf32>, tensor<?x2xi32>
    ```
    Constraints:
    - (record_c1) weights and ids have one shape.
    - (record_c2) index >= 0.
    - (record_c3) in buffer form `outs` are the lists of all ids and of all
      weights, and `extent` is the choices a token of the records before.
  }];
  let arguments = (ins LM_Rows:$weights, MoE_Ids:$ids, I64Attr:$index,
                       Variadic<MemRefRankOf<[I32, F32], [1]>>:$outs,
                       Variadic<Index>:$extent);
  let assemblyFormat = [{
    $weights `,` $ids (`outs` `(` $outs^ `:` type($outs) `)`)? (`extent` `(` $extent^ `)`)?
    attr-dict `:` type($weights) `,` type($ids)
  }];
  let hasVerifier = 1;
}

/// Where a loss goes: a scalar of its own.
def MoE_Loss : AnyTypeOf<[RankedTensorOf<[F32, F64]>, MemRefOf<[F32, F64]>],
                         "a tensor or memref of f32 or f64">;
def MoE_LossRows : AnyTypeOf<[2DTensorOf<[F32, F64]>, MemRefRankOf<[F32, F64], [2]>],
                             "a 2-D tensor or memref of f32 or f64">;

class MoE_LossOp<string mnemonic> : MoE_TwoFormsOp<mnemonic> {
  let results = (outs Variadic<MoE_Loss>:$results);
}

def MoE_LoadBalanceLossOp : MoE_LossOp<"load_balance_loss"> {
  let summary = "E * sum_e f_e * P_e";
  let description = [{
    f_e: (token, slot) pairs that chose e, divided by T; P_e: mean
    probability of e; times `weight` * E (Switch Transformer, equations 4 to
    6). With k slots a balanced router gives k. Shapes: probabilities [T,E],
    ids [T,k], result [] . T = 0 gives 0.

    ```mlir
    %l = moe.load_balance_loss %p, %ids {weight = 0.01 : f64} : (tensor<?x8xf32>, tensor<?x2xi32>) -> tensor<f32>
    ```
    Constraints:
    - (load_balance_loss_c1) rows of probabilities and ids agree.
    - (load_balance_loss_c2) the result is a scalar.
  }];
  let arguments = (ins MoE_LossRows:$probabilities, MoE_Ids:$ids,
                       DefaultValuedAttr<F64Attr, "1.0">:$weight,
                       Variadic<MoE_Loss>:$outs);
  let assemblyFormat = [{
    $probabilities `,` $ids (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_ZLossOp : MoE_LossOp<"z_loss"> {
  let summary = "mean over tokens of logsumexp(logits)^2";
  let description = [{
    ST-MoE (Zoph et al. 2022), equation 5, times `weight`. T = 0 gives 0.

    ```mlir
    %l = moe.z_loss %logits {weight = 0.001 : f64} : (tensor<?x8xf32>) -> tensor<f32>
    ```
    Constraints:
    - (z_loss_c1) the result is a scalar.
  }];
  let arguments = (ins MoE_LossRows:$logits,
                       DefaultValuedAttr<F64Attr, "1.0">:$weight,
                       Variadic<MoE_Loss>:$outs);
  let assemblyFormat = [{
    $logits (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_ImportanceLossOp : MoE_LossOp<"importance_loss"> {
  let summary = "squared coefficient of variation of the experts' importance";
  let description = [{
    Importance_e = sum over tokens of the gates of e (0 where not chosen);
    result = weight * variance / (mean^2 + 1e-10), population variance
    (Shazeer et al. 2017, section 4; the epsilon is tensor2tensor's). Shapes:
    weights [T,k], ids [T,k].

    ```mlir
    %l = moe.importance_loss %w, %ids experts(8) {weight = 0.1 : f64} : (tensor<?x2xf32>, tensor<?x2xi32>) -> tensor<f32>
    ```
    Constraints:
    - (importance_loss_c1) weights and ids have one shape.
    - (importance_loss_c2) the result is a scalar; experts >= 1.
  }];
  let arguments = (ins MoE_LossRows:$weights, MoE_Ids:$ids,
                       I64Attr:$experts, DefaultValuedAttr<F64Attr, "1.0">:$weight,
                       Variadic<MoE_Loss>:$outs);
  let assemblyFormat = [{
    $weights `,` $ids `experts` `(` $experts `)` (`outs` `(` $outs^ `)`)?
    attr-dict `:` functional-type(operands, results)
  }];
}

def MoE_PackOp : MoE_Op<"pack", [Pure]> {
  let summary = "a logical weight -> the layout that kernels read";
  let description = [{
    ```mlir
    %p = moe.pack %w : tensor<8x64x64xbf16> -> !lm.packed<8x64x64xbf16, paired_panel>
    ```
    Constraints:
    - (pack_c1) source and result have one shape, and one element type unless
      the result is quantised.
  }];
  let arguments = (ins RankedTensorOf<[F32, BF16, F16]>:$source);
  let results = (outs LM_PackedType:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` qualified(type($result))";
  let hasVerifier = 1;
}

#endif // MOE_OPS_TD
