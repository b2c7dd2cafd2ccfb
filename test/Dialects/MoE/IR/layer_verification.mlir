// RUN: moe-opt %s --split-input-file --verify-diagnostics

func.func @layer_c1(%x: tensor<?x64xf32>, %g: tensor<8x32xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c1) columns of gate and gate_up and rows of down must be the columns of x, static, got 'tensor<?x64xf32>'}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x32xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c1_dynamic(%x: tensor<?x?xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c1) columns of gate and gate_up and rows of down must be the columns of x, static, got 'tensor<?x?xf32>'}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2> <silu>
      : (tensor<?x?xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c1_rank(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c1) expected a weight of 3 dimensions, got 'tensor<64x64xf32>'}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_buffer(%x: tensor<?x64xf32>, %g: memref<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{operand #1 must be a static tensor of 1 to 3 dimensions or a packed weight, but got 'memref<8x64xf32>'}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2> <silu>
      : (tensor<?x64xf32>, memref<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c2(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<7x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c2) gate, gate_up and down must have one number of experts, got 8, 7 and 8}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<7x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c3(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x48x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c3) rows of gate_up (48) must be twice the columns of down (32)}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x48x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c4(%x: tensor<4x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c4) the result must have the shape of x, in f32 or x's element type, got 'tensor<5x64xf32>'}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2> <silu>
      : (tensor<4x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<5x64xf32>
  return
}

// -----

func.func @layer_c4_element(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c4) the result must have the shape of x, in f32 or x's element type, got 'tensor<?x64xbf16>'}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xbf16>
  return
}

// -----

func.func @layer_c5(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c5) top_k (9) must be at most the number of experts (8)}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 9> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c6(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c6) select = biased_score needs a bias}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <select = biased_score, top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c6_unused(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %b: tensor<8xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c6) a bias needs select = biased_score}}
  %0 = moe.layer %x router(%g bias %b) experts(%gu, %dn) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c6_elements(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %b: tensor<7xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c6) the bias must have 8 elements, got 'tensor<7xf32>'}}
  %0 = moe.layer %x router(%g bias %b) experts(%gu, %dn) <select = biased_score, top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<7xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c7(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>, %sgu: tensor<96x64xf32>, %sdn: tensor<64x32xf32>) {
  // expected-error @below {{(layer_c7) shared expert must be [2S,D] and [D,S] with D = 64, got 'tensor<96x64xf32>' and 'tensor<64x32xf32>'}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) shared(%sgu, %sdn) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, tensor<96x64xf32>, tensor<64x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c7_gate(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>, %sgu: tensor<96x64xf32>, %sdn: tensor<64x48xf32>, %sg: tensor<2x64xf32>) {
  // expected-error @below {{(layer_c7) the shared gate must be [1,64], got 'tensor<2x64xf32>'}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) shared(%sgu, %sdn gate %sg) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, tensor<96x64xf32>, tensor<64x48xf32>, tensor<2x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c7_half(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>, %sgu: tensor<96x64xf32>) {
  // expected-error @below {{(layer_c7) a shared expert needs gate_up and down}}
  %0 = "moe.layer"(%x, %g, %gu, %dn, %sgu) <{config = #moe.router<top_k = 2>, function = #lm.activation<silu>, operandSegmentSizes = array<i32: 1, 1, 0, 1, 1, 1, 0, 0, 0>}>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, tensor<96x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c7_gate_alone(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>, %sg: tensor<1x64xf32>) {
  // expected-error @below {{(layer_c7) a shared expert needs gate_up and down}}
  %0 = "moe.layer"(%x, %g, %gu, %dn, %sg) <{config = #moe.router<top_k = 2>, function = #lm.activation<silu>, operandSegmentSizes = array<i32: 1, 1, 0, 1, 1, 0, 0, 1, 0>}>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, tensor<1x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c8(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>, %r: tensor<?x32xf32>) {
  // expected-error @below {{(layer_c8) the residual must have the shape of the result}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) residual(%r) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @layer_c9(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  // expected-error @below {{(layer_c9) record must not be negative}}
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2> <silu> {record = -1 : i64}
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}
