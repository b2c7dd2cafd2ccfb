// RUN: moe-opt %s --split-input-file --verify-diagnostics

func.func @load_balance_loss_c1(%p: tensor<4x8xf32>, %i: tensor<5x2xi32>) {
  // expected-error @below {{(load_balance_loss_c1) rows of probabilities and ids must agree}}
  %0 = moe.load_balance_loss %p, %i : (tensor<4x8xf32>, tensor<5x2xi32>) -> tensor<f32>
  return
}

// -----

func.func @load_balance_loss_c2(%p: tensor<?x8xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{(load_balance_loss_c2) the result must be a scalar}}
  %0 = moe.load_balance_loss %p, %i : (tensor<?x8xf32>, tensor<?x2xi32>) -> tensor<1xf32>
  return
}

// -----

func.func @z_loss_c1(%l: tensor<?x8xf32>) {
  // expected-error @below {{(z_loss_c1) the result must be a scalar}}
  %0 = moe.z_loss %l : (tensor<?x8xf32>) -> tensor<?xf32>
  return
}

// -----

func.func @importance_loss_c1(%w: tensor<?x2xf32>, %i: tensor<?x3xi32>) {
  // expected-error @below {{(importance_loss_c1) weights and ids must have one shape}}
  %0 = moe.importance_loss %w, %i experts(8) : (tensor<?x2xf32>, tensor<?x3xi32>) -> tensor<f32>
  return
}

// -----

func.func @importance_loss_c2(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{(importance_loss_c2) experts must be at least 1}}
  %0 = moe.importance_loss %w, %i experts(0) : (tensor<?x2xf32>, tensor<?x2xi32>) -> tensor<f32>
  return
}

// -----

func.func @importance_loss_c2_scalar(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{(importance_loss_c2) the result must be a scalar}}
  %0 = moe.importance_loss %w, %i experts(8) : (tensor<?x2xf32>, tensor<?x2xi32>) -> tensor<1xf32>
  return
}

// -----

func.func @pack_c1(%w: tensor<8x64xf32>) {
  // expected-error @below {{(pack_c1) source 'tensor<8x64xf32>' and result '!lm.packed<64x8xf32, panel>' must have one shape and element type}}
  %0 = moe.pack %w : tensor<8x64xf32> -> !lm.packed<64x8xf32, panel>
  return
}

// -----

func.func @pack_c1_element(%w: tensor<8x64xf32>) {
  // expected-error @below {{(pack_c1) source 'tensor<8x64xf32>' and result '!lm.packed<8x64xbf16, panel>' must have one shape and element type}}
  %0 = moe.pack %w : tensor<8x64xf32> -> !lm.packed<8x64xbf16, panel>
  return
}

// -----

func.func @pack_unranked(%w: tensor<*xf32>) {
  // expected-error @below {{invalid kind of type specified: expected builtin.tensor, but found 'tensor<*xf32>'}}
  %0 = moe.pack %w : tensor<*xf32> -> !lm.packed<8x64xf32, panel>
  return
}

// -----

func.func @z_loss_c1_buffer(%l: memref<?x8xf32>, %o: memref<?xf32>) {
  // expected-error @below {{(z_loss_c1) the result must be a scalar}}
  moe.z_loss %l outs(%o) : (memref<?x8xf32>, memref<?xf32>) -> ()
  return
}

// -----

func.func @z_loss_two_outs(%l: memref<?x8xf32>, %o: memref<f32>) {
  // expected-error @below {{(forms_c3) expected one result or one memref in `outs`, got 2}}
  moe.z_loss %l outs(%o, %o) : (memref<?x8xf32>, memref<f32>, memref<f32>) -> ()
  return
}
