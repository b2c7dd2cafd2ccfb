// RUN: moe-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{expected a format: f32, bf16, f16, int8, int4, int4_min, mxfp4, int4_nl or int8_channel, got int5}}
func.func private @f(!lm.packed<64x32xint5, panel>)

// -----

// expected-error @below {{packed weight: format int8_channel has at most 133144 columns, got 133145}}
func.func private @f(!lm.packed<64x133145xint8_channel, panel>)

// -----

func.func private @f(!lm.packed<64x133144xint8_channel, panel>)

// -----

// expected-error @below {{(format_c1) lm.format of argument 0: int8_channel has at most 133144 columns, got 133145}}
func.func private @format_c1_columns(tensor<8x133145xf32> {lm.format = #lm.format<int8_channel>})

// -----

func.func @format_c2_groups(%x: memref<?x64xf32>, %w: memref<1x2x16x64xi8>, %y: memref<?x32xf32>) {
  // expected-error @below {{(format_c2) a weight of int8_channel must be experts x panels x lines x 64 bytes, lines 1 more than a multiple of 8, got 'memref<1x2x16x64xi8>'}}
  lm.linear %x, %w outs(%y) {weight_format = #lm.format<int8_channel>} : (memref<?x64xf32>, memref<1x2x16x64xi8>, memref<?x32xf32>) -> ()
  return
}

// -----

// expected-error @below {{packed weight: format int8 lies in panels only, got row_major}}
func.func private @f(!lm.packed<64x32xint8, row_major>)

// -----

// expected-error @below {{packed weight: layout panel needs a matrix}}
func.func private @f(!lm.packed<64xint4, panel>)

// -----

// expected-error @below {{(activations_c1) lm.activations must be #lm.format<int8> or #lm.format<f32> of a module, got #lm.format<bf16>}}
module attributes {lm.activations = #lm.format<bf16>} {}

// -----

// expected-error @below {{(activations_c1) lm.activations must be #lm.format<int8> or #lm.format<f32> of a module, got "f32"}}
module attributes {lm.activations = "f32"} {}

// -----

// expected-error @below {{(activations_c1) lm.activations must be}}
func.func private @activations_c1_function() attributes {lm.activations = #lm.format<f32>}

// -----

module attributes {lm.activations = #lm.format<f32>} {}

// -----

// expected-error @below {{(format_c1) lm.format of argument 0 must be a quantised format of a static tensor of 2 or 3 dimensions of f32, bf16 or f16, got #lm.format<f32>}}
func.func private @format_c1_float(tensor<8x64xf32> {lm.format = #lm.format<f32>})

// -----

// expected-error @below {{(format_c1) lm.format of argument 0 must be a quantised format}}
func.func private @format_c1_vector(tensor<64xf32> {lm.format = #lm.format<int8>})

// -----

// expected-error @below {{(format_c1) lm.format of argument 0 must be a quantised format}}
func.func private @format_c1_rows(tensor<?x64xf32> {lm.format = #lm.format<int8>})

// -----

// expected-error @below {{(format_c1) lm.format of argument 1 must be a quantised format of a static tensor of 2 or 3 dimensions of f32, bf16 or f16, got "int8"}}
func.func private @format_c1_text(index, tensor<8x64xf32> {lm.format = "int8"})

// -----

// expected-error @below {{argument 0 has an attribute that the lm dialect does not know: "lm.weight"}}
func.func private @unknown(tensor<8x64xf32> {lm.weight})

// -----

func.func @format_c2_missing(%x: memref<?x64xf32>, %w: memref<1x2x17x64xi8>, %y: memref<?x32xf32>) {
  // expected-error @below {{(format_c2) a weight that is a memref of i8 needs a quantised weight_format, and no other may have one, got 'memref<1x2x17x64xi8>'}}
  lm.linear %x, %w outs(%y) : (memref<?x64xf32>, memref<1x2x17x64xi8>, memref<?x32xf32>) -> ()
  return
}

// -----

func.func @format_c2_float(%x: memref<?x64xf32>, %w: memref<1x2x17x64xi8>, %y: memref<?x16xf32>) {
  // expected-error @below {{(format_c2) a weight that is a memref of i8 needs a quantised weight_format}}
  lm.gated_linear %x, %w <silu> outs(%y) {weight_format = #lm.format<f32>} : (memref<?x64xf32>, memref<1x2x17x64xi8>, memref<?x16xf32>) -> ()
  return
}

// -----

func.func @format_c2_value(%x: tensor<?x64xf32>, %w: tensor<8x32x64xf32>, %p: !moe.plan<8, 2>) {
  // expected-error @below {{(format_c2) a weight that is a memref of i8 needs a quantised weight_format, and no other may have one}}
  %y = moe.grouped_matmul %x, %w by %p {weight_format = #lm.format<int8>} : (tensor<?x64xf32>, tensor<8x32x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  return
}

// -----

func.func @pack_c1(%w: tensor<8x64xbf16>) {
  // expected-error @below {{(pack_c1) source 'tensor<8x64xbf16>' and result '!lm.packed<8x32xint8, panel>' must have one shape and element type}}
  %p = moe.pack %w : tensor<8x64xbf16> -> !lm.packed<8x32xint8, panel>
  return
}

// -----

func.func @format_c2_blocks(%x: memref<?x64xf32>, %w: memref<1x2x9x64xi8>, %y: memref<?x32xf32>) {
  // expected-error @below {{(format_c2) a weight of int8 must be experts x panels x lines x 64 bytes, lines a multiple of 17, got 'memref<1x2x9x64xi8>'}}
  lm.linear %x, %w outs(%y) {weight_format = #lm.format<int8>} : (memref<?x64xf32>, memref<1x2x9x64xi8>, memref<?x32xf32>) -> ()
  return
}

// -----

func.func @format_c2_rank(%x: memref<?x64xf32>, %w: memref<1152xi8>, %y: memref<?x32xf32>) {
  // expected-error @below {{(format_c2) a weight of int4 must be experts x panels x lines x 64 bytes, lines a multiple of 9, got 'memref<1152xi8>'}}
  lm.linear %x, %w outs(%y) {weight_format = #lm.format<int4>} : (memref<?x64xf32>, memref<1152xi8>, memref<?x32xf32>) -> ()
  return
}

// -----

// expected-error @below {{result 0 has an attribute that the lm dialect does not know: "lm.format"}}
func.func @result(%x: tensor<4x64xf32>) -> (tensor<4x64xf32> {lm.format = #lm.format<int4>}) {
  return %x : tensor<4x64xf32>
}
