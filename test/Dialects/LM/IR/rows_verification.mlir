// RUN: moe-opt %s --split-input-file --verify-diagnostics

func.func @embedding_c1(%t: tensor<?xi32>, %w: tensor<128x64xf32>) {
  // expected-error @below {{(embedding_c1) columns of the result (32) must be columns of the table 'tensor<128x64xf32>'}}
  %0 = lm.embedding %t, %w : (tensor<?xi32>, tensor<128x64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @embedding_c1_rank(%t: tensor<?xi32>, %w: tensor<64xf32>) {
  // expected-error @below {{(embedding_c1) expected a weight of 2 dimensions, got 'tensor<64xf32>'}}
  %0 = lm.embedding %t, %w : (tensor<?xi32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @embedding_c2(%t: tensor<4xi32>, %w: tensor<128x64xf32>) {
  // expected-error @below {{(embedding_c2) rows of the result must be the number of tokens}}
  %0 = lm.embedding %t, %w : (tensor<4xi32>, tensor<128x64xf32>) -> tensor<5x64xf32>
  return
}

// -----

func.func @embedding_tokens(%t: memref<4x4xi32>, %w: memref<128x64xf32>, %x: memref<?x64xf32>) {
  // expected-error @below {{operand #0 must be a 1-D tensor or memref of i32, but got 'memref<4x4xi32>'}}
  lm.embedding %t, %w outs(%x) : (memref<4x4xi32>, memref<128x64xf32>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @linear_c1(%x: tensor<?x64xf32>, %w: tensor<8x32xf32>) {
  // expected-error @below {{(linear_c1) columns of x (64) must be columns of the weight 'tensor<8x32xf32>'}}
  %0 = lm.linear %x, %w : (tensor<?x64xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @linear_c1_rank(%x: tensor<?x64xf32>, %w: tensor<2x8x64xf32>) {
  // expected-error @below {{(linear_c1) expected a weight of 2 dimensions, got 'tensor<2x8x64xf32>'}}
  %0 = lm.linear %x, %w : (tensor<?x64xf32>, tensor<2x8x64xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @linear_c1_packed(%x: tensor<?x64xf32>, %w: !lm.packed<8x32xf32, panel>) {
  // expected-error @below {{(linear_c1) columns of x (64) must be columns of the weight '!lm.packed<8x32xf32, panel>'}}
  %0 = lm.linear %x, %w : (tensor<?x64xf32>, !lm.packed<8x32xf32, panel>) -> tensor<?x8xf32>
  return
}

// -----

func.func @linear_c2(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>) {
  // expected-error @below {{(linear_c2) columns of the result (9) must be rows of the weight 'tensor<8x64xf32>'}}
  %0 = lm.linear %x, %w : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x9xf32>
  return
}

// -----

func.func @linear_c3(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>, %b: tensor<7xf32>) {
  // expected-error @below {{(linear_c3) the bias must have 8 elements, got 'tensor<7xf32>'}}
  %0 = lm.linear %x, %w bias(%b) : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<7xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @linear_c3_rank(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>, %b: !lm.packed<8x1xf32, row_major>) {
  // expected-error @below {{operand #2 must be a static 1-D tensor, packed weight or memref of floats, but got '!lm.packed<8x1xf32, row_major>'}}
  %0 = lm.linear %x, %w bias(%b) : (tensor<?x64xf32>, tensor<8x64xf32>, !lm.packed<8x1xf32, row_major>) -> tensor<?x8xf32>
  return
}

// -----

func.func @linear_c4(%x: tensor<4x64xf32>, %w: tensor<8x64xf32>) {
  // expected-error @below {{(linear_c4) rows of the result must be rows of x}}
  %0 = lm.linear %x, %w : (tensor<4x64xf32>, tensor<8x64xf32>) -> tensor<5x8xf32>
  return
}

// -----

func.func @rms_norm_c1(%x: tensor<?x64xf32>, %w: tensor<21xf32>) {
  // expected-error @below {{(rms_norm_c1) groups (3) must divide the columns of x (64)}}
  %0 = lm.rms_norm %x, %w {eps = 1.0e-05 : f64, groups = 3 : i64} : (tensor<?x64xf32>, tensor<21xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @rms_norm_c1_zero(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @below {{(rms_norm_c1) groups (0) must divide the columns of x (64)}}
  %0 = lm.rms_norm %x, %w {eps = 1.0e-05 : f64, groups = 0 : i64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @rms_norm_c2(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @below {{(rms_norm_c2) the weight must have 32 elements, got 'tensor<64xf32>'}}
  %0 = lm.rms_norm %x, %w {eps = 1.0e-05 : f64, groups = 2 : i64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @rms_norm_c3(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @below {{(rms_norm_c3) shapes 'tensor<?x64xf32>' and 'tensor<?x32xf32>' must agree}}
  %0 = lm.rms_norm %x, %w {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @rms_norm_c4(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @below {{(rms_norm_c4) eps must not be negative}}
  %0 = lm.rms_norm %x, %w {eps = -1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @rms_norm_c4_nan(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @below {{(rms_norm_c4) eps must not be negative}}
  %0 = lm.rms_norm %x, %w {eps = 0x7FF8000000000000 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_norm_c1(%x: tensor<?x64xf32>, %w: tensor<32xf32>) {
  // expected-error @below {{(layer_norm_c1) the weight must have 64 elements, got 'tensor<32xf32>'}}
  %0 = lm.layer_norm %x, %w {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_norm_c1_bias(%x: tensor<?x64xf32>, %w: tensor<64xf32>, %b: tensor<32xf32>) {
  // expected-error @below {{(layer_norm_c1) the bias must have 64 elements, got 'tensor<32xf32>'}}
  %0 = lm.layer_norm %x, %w bias(%b) {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>, tensor<32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_norm_c2(%x: tensor<4x64xf32>, %w: tensor<64xf32>) {
  // expected-error @below {{(layer_norm_c2) shapes 'tensor<4x64xf32>' and 'tensor<5x64xf32>' must agree}}
  %0 = lm.layer_norm %x, %w {eps = 1.0e-05 : f64} : (tensor<4x64xf32>, tensor<64xf32>) -> tensor<5x64xf32>
  return
}

// -----

func.func @layer_norm_c3(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  // expected-error @below {{(layer_norm_c3) eps must not be negative}}
  %0 = lm.layer_norm %x, %w {eps = -1.0 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @add_c1(%x: tensor<?x64xf32>, %y: tensor<?x32xf32>) {
  // expected-error @below {{(add_c1) shapes 'tensor<?x64xf32>' and 'tensor<?x32xf32>' must agree}}
  %0 = lm.add %x, %y : (tensor<?x64xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @activate_c1(%x: tensor<?x64xf32>) {
  // expected-error @below {{(activate_c1) shapes 'tensor<?x64xf32>' and 'tensor<?x32xf32>' must agree}}
  %0 = lm.activate %x <silu> : (tensor<?x64xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @gated_c1(%x: tensor<?x64xf32>) {
  // expected-error @below {{(gated_c1) columns of x (64) must be twice those of the result (64)}}
  %0 = lm.gated %x <silu> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @gated_c2(%x: tensor<4x64xf32>) {
  // expected-error @below {{(gated_c2) rows of the result must be rows of x}}
  %0 = lm.gated %x <silu> : (tensor<4x64xf32>) -> tensor<5x32xf32>
  return
}

// -----

func.func @gated_linear_c1(%x: tensor<?x64xf32>, %w: tensor<96x32xf32>) {
  // expected-error @below {{(gated_linear_c1) columns of x (64) must be columns of the weight 'tensor<96x32xf32>'}}
  %0 = lm.gated_linear %x, %w <silu> : (tensor<?x64xf32>, tensor<96x32xf32>) -> tensor<?x48xf32>
  return
}

// -----

func.func @gated_linear_c2(%x: tensor<?x64xf32>, %w: tensor<97x64xf32>) {
  // expected-error @below {{(gated_linear_c2) rows of the weight (97) must be twice the columns of the result (48)}}
  %0 = lm.gated_linear %x, %w <silu> : (tensor<?x64xf32>, tensor<97x64xf32>) -> tensor<?x48xf32>
  return
}

// -----

func.func @gated_linear_c3(%x: tensor<4x64xf32>, %w: tensor<96x64xf32>) {
  // expected-error @below {{(gated_linear_c3) rows of the result must be rows of x}}
  %0 = lm.gated_linear %x, %w <silu> : (tensor<4x64xf32>, tensor<96x64xf32>) -> tensor<5x48xf32>
  return
}

// -----

func.func @scaled_add_c1(%x: tensor<?x64xf32>, %y: tensor<?x32xf32>, %s: tensor<?x1xf32>) {
  // expected-error @below {{(scaled_add_c1) shapes 'tensor<?x64xf32>' and 'tensor<?x32xf32>' must agree}}
  %0 = lm.scaled_add %x, %y, %s <sigmoid> : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x1xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @scaled_add_c2(%x: tensor<?x64xf32>, %s: tensor<?x2xf32>) {
  // expected-error @below {{(scaled_add_c2) the scale must have one column and the rows of acc, got 'tensor<?x2xf32>'}}
  %0 = lm.scaled_add %x, %x, %s <sigmoid> : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x2xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @last_rows_c1(%x: tensor<?x64xf32>, %n: index) {
  // expected-error @below {{(last_rows_c1) columns of the result must be columns of x}}
  %0 = lm.last_rows %x, %n : (tensor<?x64xf32>, index) -> tensor<?x32xf32>
  return
}
