// RUN: moe-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{(weights_c1) type must be a static tensor or a packed weight, got 'tensor<?x64xf32>'}}
lm.weights @w : tensor<?x64xf32>

// -----

// expected-error @below {{(weights_c1) type must be a static tensor or a packed weight, got 'index'}}
lm.weights @w : index

// -----

func.func @no_such_weight() {
  // expected-error @below {{(weight_c1) no lm.weights named @w}}
  %w = lm.weight @w : tensor<64xf32>
  return
}

// -----

func.func @not_a_weight() {
  // expected-error @below {{(weight_c1) no lm.weights named @not_a_weight}}
  %w = lm.weight @not_a_weight : tensor<64xf32>
  return
}

// -----

lm.weights @w : tensor<64xf32>
func.func @other_type() {
  // expected-error @below {{(weight_c2) type 'tensor<32xf32>' differs from that of the declaration, 'tensor<64xf32>'}}
  %w = lm.weight @w : tensor<32xf32>
  return
}

// -----

func.func @negative_layer() {
  // expected-error @below {{attribute 'layer' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  %s = lm.layer_state -1 : !lm.state<2x16xf32>
  return
}
