//===- LMOps.td - Operations of the lm dialect ----------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef LM_OPS_TD
#define LM_OPS_TD

include "dialects/LM/IR/LMDialect.td"
include "dialects/LM/IR/LMInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class LM_Op<string mnemonic, list<Trait> traits = []>
    : Op<LM_Dialect, mnemonic, traits>;

/// T x D of floats, as a value or as a buffer.
def LM_Rows : AnyTypeOf<[2DTensorOf<[F32, BF16, F16, F64]>,
                         MemRefRankOf<[F32, BF16, F16, F64], [2]>],
                        "a 2-D tensor or memref of floats">;
/// A weight in value form.
def LM_WeightTensor : RankedTensorOf<[F32, BF16, F16, F64],
    [HasStaticShapePred, HasAnyRankOfPred<[1, 2, 3]>], "a static tensor">;
def LM_LogicalWeight : AnyTypeOf<[LM_WeightTensor, LM_PackedType],
    "a static tensor of 1 to 3 dimensions or a packed weight">;
/// A weight in either form; a packed one is a buffer of up to 4 dimensions.
def LM_Weight : AnyTypeOf<[LM_LogicalWeight,
                           MemRefRankOf<[F32, BF16, F16, F64, I8], [1, 2, 3, 4]>],
    "a static tensor of 1 to 3 dimensions, a packed weight or its buffer">;
def LM_Tokens : AnyTypeOf<[1DTensorOf<[I32]>, MemRefRankOf<[I32], [1]>],
                          "a 1-D tensor or memref of i32">;
def LM_Vector : AnyTypeOf<[
    RankedTensorOf<[F32, BF16, F16, F64],
                   [HasStaticShapePred, HasAnyRankOfPred<[1]>]>,
    ConfinedType<LM_PackedType,
        [CPred<"::llvm::cast<::mlir::lm::PackedType>($_self).getShape().size() == 1">]>,
    MemRefRankOf<[F32, BF16, F16, F64], [1]>],
    "a static 1-D tensor, packed weight or memref of floats">;
def LM_StateLike : AnyTypeOf<[LM_StateType, MemRefRankOf<[I8], [1]>],
                             "a KV cache handle or its bytes">;

/// An op with a value form and a buffer form (see the dialect's description).
class LM_BufferizableOp<string mnemonic, list<Trait> traits = [],
                        list<string> overridden = []>
    : LM_Op<mnemonic, traits # [
            DeclareOpInterfaceMethods<LM_TwoForms, overridden>,
            DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
            DeclareOpInterfaceMethods<ConditionallySpeculatable>,
            DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Weights and state
//===----------------------------------------------------------------------===//

def LM_WeightsOp : LM_Op<"weights", [Symbol]> {
  let summary = "declares a weight of the model";
  let description = [{
    A symbol with the logical type of a weight. Values never enter the IR:
    whoever links the model supplies them by this name.

    ```mlir
    lm.weights @layers.0.router : tensor<64x2048xbf16>
    ```
    Phase `buffers` sets `offset`: bytes from the start of all weights.

    Constraints:
    - (weights_c1) the type is a static tensor or a packed weight.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type,
                       OptionalAttr<StrAttr>:$sym_visibility,
                       OptionalAttr<I64Attr>:$offset);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
  let hasVerifier = 1;
}

def LM_WeightOp : LM_Op<"weight", [Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "reads a declared weight";
  let description = [{
    ```mlir
    %w = lm.weight @layers.0.router : tensor<64x2048xbf16>
    ```
    Constraints:
    - (weight_c1) a `lm.weights` of that name exists.
    - (weight_c2) the result has the type of the declaration.
  }];
  let arguments = (ins FlatSymbolRefAttr:$name);
  let results = (outs LM_LogicalWeight:$result);
  let assemblyFormat = "$name `:` type($result) attr-dict";
}

def LM_LayerStateOp : LM_Op<"layer_state", [Pure]> {
  let summary = "the KV cache of one layer";
  let description = [{
    ```mlir
    %kv = lm.layer_state 3 : !lm.state<2x16xf32>
    ```
    Caches of lower layers lie before those of higher ones.
  }];
  let arguments = (ins ConfinedAttr<I64Attr, [IntNonNegative]>:$layer);
  let results = (outs LM_StateType:$result);
  let assemblyFormat = "$layer `:` qualified(type($result)) attr-dict";
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

def LM_EmbeddingOp : LM_BufferizableOp<"embedding"> {
  let summary = "rows of a table";
  let description = [{
    `result[t] = scale * table[tokens[t]]`. Shapes: tokens [T], table [V,D],
    result [T,D].

    ```mlir
    %x = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<128x64xf32>) -> tensor<?x64xf32>
    ```
    Constraints:
    - (embedding_c1) columns of the result = columns of the table.
    - (embedding_c2) rows of the result = number of tokens.
  }];
  let arguments = (ins LM_Tokens:$tokens, LM_Weight:$table,
                       DefaultValuedAttr<F64Attr, "1.0">:$scale,
                       Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $tokens `,` $table (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def LM_LinearOp : LM_BufferizableOp<"linear", [AttrSizedOperandSegments]> {
  let summary = "x * transpose(w) + bias";
  let description = [{
    `result[t,n] = sum_k x[t,k] * weight[n,k] + bias[n]`, K ascending.
    Shapes: x [T,K], weight [N,K], bias [N], result [T,N].

    ```mlir
    %y = lm.linear %x, %w bias(%b) : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8xf32>) -> tensor<?x8xf32>
    ```
    `clip` bounds the result to [-clip, clip] (clip_qkv).

    Constraints:
    - (linear_c1) columns of x = columns of the weight.
    - (linear_c2) columns of the result = rows of the weight.
    - (linear_c3) elements of the bias = rows of the weight.
    - (linear_c4) rows of the result = rows of x.
  }];
  let arguments = (ins LM_Rows:$x, LM_Weight:$weight, Optional<LM_Vector>:$bias,
                       OptionalAttr<F64Attr>:$clip, Variadic<LM_Rows>:$outs,
                       OptionalAttr<LM_FormatAttr>:$weight_format);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $x `,` $weight (`bias` `(` $bias^ `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def LM_RMSNormOp : LM_BufferizableOp<"rms_norm"> {
  let summary = "root-mean-square norm";
  let description = [{
    `result = x * rsqrt(mean(x^2) + eps) * weight` over each of `groups` equal
    parts of a row (Zhang and Sennrich 2019, equation 4). With groups > 1 the
    weight has D/groups elements and serves every group: the per-head norm of
    queries and keys. `clip` bounds the result to [-clip, clip] (clip_qkv).

    ```mlir
    %y = lm.rms_norm %x, %w {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    ```
    Constraints:
    - (rms_norm_c1) groups divides the columns of x.
    - (rms_norm_c2) elements of the weight = columns of x / groups.
    - (rms_norm_c3) the result has the shape of x.
    - (rms_norm_c4) eps >= 0.
  }];
  let arguments = (ins LM_Rows:$x, LM_Vector:$weight, F64Attr:$eps,
                       DefaultValuedAttr<I64Attr, "1">:$groups,
                       OptionalAttr<F64Attr>:$clip,
                       Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $x `,` $weight (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def LM_LayerNormOp : LM_BufferizableOp<"layer_norm", [AttrSizedOperandSegments]> {
  let summary = "layer norm";
  let description = [{
    `result = (x - mean(x)) * rsqrt(var(x) + eps) * weight + bias` with the
    population variance (Ba et al. 2016).

    ```mlir
    %y = lm.layer_norm %x, %w bias(%b) {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    ```
    Constraints:
    - (layer_norm_c1) elements of weight and bias = columns of x.
    - (layer_norm_c2) the result has the shape of x.
    - (layer_norm_c3) eps >= 0.
  }];
  let arguments = (ins LM_Rows:$x, LM_Vector:$weight, Optional<LM_Vector>:$bias,
                       F64Attr:$eps, Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $x `,` $weight (`bias` `(` $bias^ `)`)? (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def LM_AddOp : LM_BufferizableOp<"add"> {
  let summary = "sum of two blocks of rows (a residual connection)";
  let description = [{
    ```mlir
    %y = lm.add %a, %b : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
    ```
    Constraints:
    - (add_c1) operands and result have one shape.
  }];
  let arguments = (ins LM_Rows:$lhs, LM_Rows:$rhs, Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $lhs `,` $rhs (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def LM_ActivateOp : LM_BufferizableOp<"activate"> {
  let summary = "an activation function, element by element";
  let description = [{
    silu x*sigmoid(x); gelu x*Phi(x); gelu_tanh its tanh approximation
    (Hendrycks and Gimpel 2016); relu; sigmoid.

    ```mlir
    %y = lm.activate %x <silu> : (tensor<?x64xf32>) -> tensor<?x64xf32>
    ```
    Constraints:
    - (activate_c1) the result has the shape of x.
  }];
  let arguments = (ins LM_Rows:$x, LM_ActivationAttr:$function,
                       Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $x $function (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

def LM_GatedOp : LM_BufferizableOp<"gated"> {
  let summary = "act(gate) * up over the two halves of a row";
  let description = [{
    Row t of x is `gate | up`, F columns each; `result[t] = act(gate) * up`
    (SwiGLU when the function is silu: Shazeer 2020, section 2).

    ```mlir
    %h = lm.gated %gu <silu> : (tensor<?x64xf32>) -> tensor<?x32xf32>
    ```
    Constraints:
    - (gated_c1) columns of x = 2 * columns of the result.
    - (gated_c2) rows of the result = rows of x.
  }];
  let arguments = (ins LM_Rows:$x, LM_ActivationAttr:$function,
                       Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $x $function (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def LM_GatedLinearOp : LM_BufferizableOp<"gated_linear"> {
  let summary = "linear to gate and up, then act(gate) * up, fused";
  let description = [{
    `lm.gated(lm.linear(x, weight))` without the product in memory. Shapes:
    x [T,K], weight [2F,K] (gate rows first), result [T,F].

    ```mlir
    %h = lm.gated_linear %x, %w <silu> : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x48xf32>
    ```
    Constraints:
    - (gated_linear_c1) columns of x = columns of the weight.
    - (gated_linear_c2) 2 * columns of the result = rows of the weight.
    - (gated_linear_c3) rows of the result = rows of x.
  }];
  let arguments = (ins LM_Rows:$x, LM_Weight:$weight, LM_ActivationAttr:$function,
                       Variadic<LM_Rows>:$outs,
                       OptionalAttr<LM_FormatAttr>:$weight_format);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $x `,` $weight $function (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def LM_ScaledAddOp : LM_BufferizableOp<"scaled_add"> {
  let summary = "acc + act(scale) * y, one scale a row";
  let description = [{
    `result[t] = acc[t] + act(scale[t,0]) * y[t]`: how a gated shared expert
    joins the routed ones (Qwen2-MoE: the function is sigmoid).

    ```mlir
    %r = lm.scaled_add %acc, %y, %s <sigmoid> : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x1xf32>) -> tensor<?x64xf32>
    ```
    Constraints:
    - (scaled_add_c1) acc, y and the result have one shape.
    - (scaled_add_c2) the scale has one column and as many rows as acc.
  }];
  let arguments = (ins LM_Rows:$acc, LM_Rows:$y, LM_Rows:$scale,
                       LM_ActivationAttr:$function, Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $acc `,` $y `,` $scale $function (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def LM_LastRowsOp : LM_BufferizableOp<"last_rows", [], ["buildResultRows"]> {
  let summary = "the last rows of a block";
  let description = [{
    `result[r] = x[T - R + r]`.

    ```mlir
    %y = lm.last_rows %x, %rows : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
    ```
    Constraints:
    - (last_rows_c1) columns of the result = columns of x.
  }];
  let arguments = (ins LM_Rows:$x, Index:$rows, Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $x `,` $rows (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Position and attention
//===----------------------------------------------------------------------===//

def LM_RopeTableOp : LM_BufferizableOp<"rope_table", [], ["getRowsOperand"]> {
  let summary = "cosines and sines of the positions of a chunk";
  let description = [{
    `result[t] = scale * (cos(a_0..a_{n-1}) | sin(a_0..a_{n-1}))` with
    `a_i = f32(position + t) * inv_freq[i]`, the product rounded to f32 as
    transformers does; n = elements of inv_freq.

    ```mlir
    %cs = lm.rope_table %inv_freq at %position tokens(%tokens) : (tensor<8xf32>, index, tensor<?xi32>) -> tensor<?x16xf32>
    ```
    Constraints:
    - (rope_table_c1) columns of the result = 2 * elements of inv_freq.
    - (rope_table_c2) rows of the result = number of tokens.
  }];
  let arguments = (ins LM_Vector:$inv_freq, Index:$position, LM_Tokens:$tokens,
                       DefaultValuedAttr<F64Attr, "1.0">:$scale,
                       Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $inv_freq `at` $position `tokens` `(` $tokens `)` (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def LM_RopeOp : LM_BufferizableOp<"rope"> {
  let summary = "rotary position embedding";
  let description = [{
    Rotates the first 2n elements of each of `heads` heads by the table's n
    angles (Su et al. 2021, equation 34); the rest of a head is copied. Style
    `halves` rotates elements i and i+n (GPT-NeoX, Llama in transformers),
    `adjacent` elements 2i and 2i+1.

    ```mlir
    %r = lm.rope %q, %cs {heads = 4 : i64} : (tensor<?x64xf32>, tensor<?x16xf32>) -> tensor<?x64xf32>
    ```
    Constraints:
    - (rope_c1) heads divides the columns of x.
    - (rope_c2) columns of the table are even and at most columns of a head.
    - (rope_c3) the result has the shape of x.
    - (rope_c4) rows of the table = rows of x.
  }];
  let arguments = (ins LM_Rows:$x, LM_Rows:$table, I64Attr:$heads,
                       DefaultValuedAttr<LM_RopeStyleAttr, "::mlir::lm::RopeStyle::Halves">:$style,
                       Variadic<LM_Rows>:$outs);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $x `,` $table (`outs` `(` $outs^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def LM_AttentionOp : LM_BufferizableOp<"attention", [AttrSizedOperandSegments],
                                         ["writesOperand"]> {
  let summary = "causal attention over a KV cache";
  let description = [{
    Rows t of q (and of the keys and values to `append`) belong to absolute
    position p = position + t. Keys and values are rounded to the cache's
    element type and stored at p; then, for each head h of q with kv head
    g = h * kv_heads / heads,

      `result[t,h] = sum_j softmax_j(scale * q[t,h] . K[j,g]) * V[j,g]`

    over j in (p - window, p] (window 0: all j <= p). The softmax divides
    exp(scale * q.K - maximum) by their sum. Where q is bf16 and so are the
    cache's values, these exponentials are rounded to bf16, for the sum as for
    the products: both then have bf16 factors. Optional sinks [heads] join the softmax's denominator as one more logit (gpt-oss). Keys and
    values are always read back from the cache, the chunk's own too.

    Order of sums: running softmax over blocks of 64 positions inside segments
    of 1024, both counted from position 0 and ascending; so a row's bits do not
    depend on the chunk.

    ```mlir
    %o = lm.attention %q append(%k, %v) state(%kv) at %position {heads = 4 : i64, scale = 0.25 : f64}
        : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16xf32>, index) -> tensor<?x64xf32>
    ```
    Phase `tiled` parts it: `lm.append` first, then attention without `append`.

    Constraints:
    - (attention_c1) columns of q = heads * head size of the state.
    - (attention_c2) columns of k and v = kv heads * head size of the state.
    - (attention_c3) kv heads divide heads.
    - (attention_c4) the result has the shape of q; rows of q, k and v agree.
    - (attention_c5) window >= 0.
    - (attention_c6) sinks have one element a head.
    - (attention_c7) keys and values come together.
    - (attention_c8) in buffer form `state_type` and `extent` (positions) say
      what the bytes hold, and where the type leaves a choice so do `types`:
      the numbers, among its element types, of that of keys and of values.
  }];
  let arguments = (ins LM_Rows:$q, Optional<LM_Rows>:$k, Optional<LM_Rows>:$v,
                       LM_StateLike:$state,
                       Index:$position, Optional<LM_Vector>:$sinks,
                       I64Attr:$heads, F64Attr:$scale,
                       DefaultValuedAttr<I64Attr, "0">:$window,
                       Variadic<LM_Rows>:$outs,
                       Optional<Index>:$extent, Variadic<Index>:$types,
                       OptionalAttr<TypeAttr>:$state_type);
  let results = (outs Variadic<LM_Rows>:$results);
  let assemblyFormat = [{
    $q (`append` `(` $k^ `,` $v `)`)? `state` `(` $state `)` `at` $position (`sinks` `(` $sinks^ `)`)?
    (`outs` `(` $outs^ `)`)? (`extent` `(` $extent^ `)`)? (`types` `(` $types^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    /// Type of the cache, in either form.
    ::mlir::lm::StateType getCacheType();
  }];
}

def LM_AppendOp : LM_Op<"append", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "stores keys and values in a KV cache";
  let description = [{
    Row t of k and v [T, kv_heads * head size] becomes position `position + t`
    of the cache, rounded to its element type.

    ```mlir
    lm.append %k, %v state(%kv) at %position : tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16xf32>
    ```
    Constraints:
    - (append_c1) columns of k and v = kv heads * head size of the state.
    - (append_c2) where the state is bytes, `state_type`, `extent` and `types`
      say what they hold, as those of `lm.attention`.
    - (append_c3) k and v have one number of rows.
    - (append_c4) k, v and the state are all values or all buffers.
  }];
  let arguments = (ins LM_Rows:$k, LM_Rows:$v, LM_StateLike:$state,
                       Index:$position, Optional<Index>:$extent,
                       Variadic<Index>:$types,
                       OptionalAttr<TypeAttr>:$state_type);
  let assemblyFormat = [{
    $k `,` $v `state` `(` $state `)` `at` $position (`extent` `(` $extent^ `)`)?
    (`types` `(` $types^ `)`)? attr-dict `:` type($k) `,` type($v) `,` type($state)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Type of the cache, in either form.
    ::mlir::lm::StateType getCacheType();
  }];
}

#endif // LM_OPS_TD
