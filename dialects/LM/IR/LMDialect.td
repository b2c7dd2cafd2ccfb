//===- LMDialect.td - The lm dialect: its types, enums and base classes ---===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef LM_DIALECT_TD
#define LM_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def LM_Dialect : Dialect {
  let name = "lm";
  let cppNamespace = "::mlir::lm";
  let summary = "What a decoder-only language model needs besides its experts";
  let description = [{
    Embedding, linear layers, norms, rotary embeddings, attention over a KV
    cache, activations. T tokens, D hidden size.

    Every computing op exists in two forms. In *value form* it takes tensors
    and returns tensors. In *buffer form* (after phase `buffers`) it takes
    memrefs, has no result, and writes the memrefs listed in `outs`. Both
    forms have the same operands, attributes and meaning.

    The element type of a result is where rounding happens: an op computes in
    at least f32 and rounds once, to the element type of its result.

    Constraints on every op with two forms, of this dialect and of `moe`:
    - (forms_c1) value form has results, no `outs` and no memref; buffer form
      has `outs`, no results and memrefs only, besides scalars.
    - (forms_c2) of rows only their number may be dynamic: columns are static
      and positive. Weights are wholly static.
    - (forms_c3) an op has one result (one memref in `outs`), unless its own
      documentation says otherwise.

    A function's argument that is a weight may carry `lm.format`, a quantised
    format (`!lm.packed` lists them): products read it quantised, and phase
    `buffers` makes it part of the packed type.

    - (format_c1) `lm.format` is a quantised `#lm.format` on a static matrix,
      or several, of f32, bf16 or f16, that a product reads as its weight; of
      `int8_channel` with at most 133144 columns.
    - (format_c2) in buffer form a product's `weight_format` says how the bytes
      of a quantised weight are read: it is there where the weight is a memref
      of i8, [experts, panels, lines, 64] with lines of whole blocks (of
      `int8_channel` whole groups and one more), and nowhere else.

    How rows enter products with quantised weights is the module's
    `lm.activations`. `#lm.format<int8>`, and no attribute: each row's groups
    of 32 columns (for `int8_channel` the whole row) become integers,
    `scale = max|x| / 127`, and the product is that of the rounded numbers. `#lm.format<f32>`: rows stay as they are, and
    a weight's numbers are f32 (of `int4_min` rounded once from q * d + m, of
    `int8_channel` from q * d).

    - (activations_c1) `lm.activations` is `#lm.format<int8>` or
      `#lm.format<f32>`, of a module.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let extraClassDeclaration = [{
    void registerTypes();
  }];
}

//===----------------------------------------------------------------------===//
// Enums
//===----------------------------------------------------------------------===//

class LM_Enum<string name, string summary, list<I32EnumCase> cases>
    : I32Enum<name, summary, cases> {
  let cppNamespace = "::mlir::lm";
}

def LM_Layout : LM_Enum<"Layout", "how a packed weight lies in memory", [
  I32EnumCase<"RowMajor", 0, "row_major">,
  I32EnumCase<"Panel", 1, "panel">,
  I32EnumCase<"PairedPanel", 2, "paired_panel">
]>;

def LM_Format : LM_Enum<"Format", "what a packed weight's numbers are", [
  I32EnumCase<"F32", 0, "f32">,
  I32EnumCase<"BF16", 1, "bf16">,
  I32EnumCase<"F16", 2, "f16">,
  I32EnumCase<"Int8", 3, "int8">,
  I32EnumCase<"Int4", 4, "int4">,
  I32EnumCase<"Int4Min", 5, "int4_min">,
  I32EnumCase<"MXFP4", 6, "mxfp4">,
  I32EnumCase<"Int8Channel", 7, "int8_channel">,
  I32EnumCase<"Int4NL", 8, "int4_nl">
]>;
def LM_FormatAttr : EnumAttr<LM_Dialect, LM_Format, "format"> {
  let assemblyFormat = "`<` $value `>`";
}

def LM_Activation : LM_Enum<"Activation", "activation function", [
  I32EnumCase<"SiLU", 0, "silu">,
  I32EnumCase<"GELU", 1, "gelu">,
  I32EnumCase<"GELUTanh", 2, "gelu_tanh">,
  I32EnumCase<"ReLU", 3, "relu">,
  I32EnumCase<"Sigmoid", 4, "sigmoid">
]>;
def LM_ActivationAttr : EnumAttr<LM_Dialect, LM_Activation, "activation"> {
  let assemblyFormat = "`<` $value `>`";
}

def LM_RopeStyle : LM_Enum<"RopeStyle",
    "which two elements of a head a rotation acts on", [
  I32EnumCase<"Halves", 0, "halves">,
  I32EnumCase<"Adjacent", 1, "adjacent">
]>;
def LM_RopeStyleAttr : EnumAttr<LM_Dialect, LM_RopeStyle, "rope_style"> {
  let assemblyFormat = "`<` $value `>`";
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

class LM_Type<string name, string typeMnemonic> : TypeDef<LM_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def LM_PackedType : LM_Type<"Packed", "packed"> {
  let summary = "a weight in the layout that kernels read";
  let description = [{
    `!lm.packed<ExNxKxbf16, panel>`: E matrices (E left out when 1) of N rows
    and K columns, in an opaque run of bytes. Layouts:

    - `row_major`: rows one after the other, without padding;
    - `panel`: panels of 16 rows (output columns of the product), zero-padded
      to an even number of panels; within a panel K runs in steps of 4 bytes
      (two bf16/f16 or one f32), each step a 64-byte line of 16 lanes;
    - `paired_panel`: as `panel`, for a matrix whose first N/2 rows are a gate
      and the rest the up projection: panels alternate gate, up, gate, up, so
      that one register tile holds both factors of a SwiGLU.

    The quantised formats `int8`, `int4`, `int4_min`, `mxfp4`, `int4_nl` and
    `int8_channel`, of at most 133144 columns (values and
    layout: docs/weight-formats.md) stand in the place of the element type:
    `!lm.packed<ExNxKxint8, panel>`. They lie in panels only.

    Not a tensor, and not a tensor encoding: bufferization drops those.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape,
                        EnumParameter<LM_Format>:$format,
                        EnumParameter<LM_Layout>:$layout);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// True unless the elements are floats of their own.
    bool isQuantised() const;
    /// f32, bf16 or f16; i8, for bytes, of a quantised format.
    ::mlir::Type getStorageType() const;
    /// Lanes of a panel: output columns that lie side by side.
    static constexpr int64_t kLanes = 16;
    /// Number of matrices.
    int64_t getExperts() const;
    /// Rows of one matrix (N: columns of the product).
    int64_t getRows() const;
    /// Columns of one matrix (K: the contracted dimension). 1 for vectors.
    int64_t getColumns() const;
    /// Panels of one matrix, padding included. Even.
    int64_t getPanels() const;
    /// 64-byte lines of one panel: K/2 rounded up for 16-bit elements, K for
    /// f32; of a quantised format whole blocks of groups.
    int64_t getLines() const;
    /// Bytes of one matrix in this layout.
    int64_t getMatrixBytes() const;
    /// Bytes of the whole weight.
    int64_t getBytes() const;
  }];
}

def LM_StateType : LM_Type<"State", "state"> {
  let summary = "a handle on one layer's KV cache";
  let description = [{
    `!lm.state<2x16xbf16>`: keys and values of 2 heads of 16 elements for as
    many positions as the session declared. A handle, not a tensor: ops on it
    have memory effects, so no pass can make a copy of a cache.

    Element type i8 is q8_0: of each position and KV head one f32 scale,
    `max|x| / 127`, and the integers nearest to `x / scale`, ties to even; they
    read back as f32 products with the scale. Zeros have scale 0; a row of a
    head with a value that is not finite reads back as NaN.

    Of several element types, `!lm.state<2x16x(bf16, f16, i8)>`, whoever makes
    the cache chooses one for the keys and one for the values; nothing said,
    the first. Bits are those of a cache with only that type.
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$headDim,
                        ArrayRefParameter<"::mlir::Type">:$elementTypes);
  let builders = [
    TypeBuilder<(ins "int64_t":$heads, "int64_t":$headDim,
                     "::mlir::Type":$elementType), [{
      return $_get($_ctxt, heads, headDim,
                   ::llvm::ArrayRef<::mlir::Type>(elementType));
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The first: of keys and of values, unless they are chosen.
    ::mlir::Type getDefaultType() const { return getElementTypes().front(); }
    /// True where there are several element types.
    bool isChosen() const { return getElementTypes().size() > 1; }
    /// True for the element type of q8_0.
    static bool isQuantised(::mlir::Type elementType) {
      return elementType.isInteger(8);
    }
    /// Bytes of an element, and of the scale of a head at one position.
    static int64_t getElementBytes(::mlir::Type elementType) {
      return elementType.getIntOrFloatBitWidth() / 8;
    }
    static int64_t getScaleBytes(::mlir::Type elementType) {
      return isQuantised(elementType) ? sizeof(float) : 0;
    }
    /// Elements that a head takes in memory, whatever they are: bf16 lies in
    /// pairs, i8 in fours.
    int64_t getPaddedHeadDim() const;
    /// Bytes of the keys (or values) of one head at one position, with scale.
    int64_t getRowBytes(::mlir::Type elementType) const;
    /// Bytes of one position of the default type: keys and values of all heads.
    int64_t getBytesPerPosition() const;
  }];
}

#endif // LM_DIALECT_TD
