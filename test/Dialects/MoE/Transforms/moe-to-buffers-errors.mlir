// RUN: moe-opt %s --moe-to-buffers --split-input-file --verify-diagnostics

// expected-error @below {{a model's step takes tokens, position and rows (tensor<?xi32>, index, index) and returns logits (tensor<?xVxf32>), got '(tensor<?xi32>) -> tensor<?xi32>'}}
func.func @step(%t: tensor<?xi32>) -> tensor<?xi32> attributes {lm.step} {
  return %t : tensor<?xi32>
}

// -----

// expected-error @below {{has no buffer form: argument of type '!moe.plan<8, 2>'}}
func.func @plan(%p: !moe.plan<8, 2>) {
  return
}

// -----

// expected-error @below {{has no buffer form: result of type 'index'}}
func.func @scalar_result(%x: tensor<?x64xf32>, %n: index) -> index {
  return %n : index
}

// -----

// expected-error @below {{must have one block, which returns, before phase buffers}}
func.func @blocks(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  cf.br ^bb1
^bb1:
  return %x : tensor<?x64xf32>
}

// -----

lm.weights @w : tensor<64x64xf32>
func.func @unpacked(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error @below {{is not packed: run moe-pack-weights first}}
  %w = lm.weight @w : tensor<64x64xf32>
  %y = lm.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

lm.weights @w : !lm.packed<64x64xf32, panel>
func.func @weight_outside_a_step(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error @below {{only a model's step and its layers read weights}}
  %w = lm.weight @w : !lm.packed<64x64xf32, panel>
  %y = lm.linear %x, %w : (tensor<?x64xf32>, !lm.packed<64x64xf32, panel>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @record_outside_a_step(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{only the layers of a model's step record routing}}
  moe.record %w, %i {index = 0 : i64} : tensor<?x2xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @state_outside_a_step(%k: tensor<?x32xf32>, %p: index) {
  // expected-error @below {{only a model's step has KV caches}}
  %kv = lm.layer_state 0 : !lm.state<2x16xf32>
  lm.append %k, %k state(%kv) at %p : tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16xf32>
  return
}

// -----

func.func @other_dialect(%l: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{'arith.addf' op has no buffer form}}
  %0 = arith.addf %l, %l : tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

func.func private @external(tensor<?x64xf32>) -> tensor<?x64xf32>
func.func @calls(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // expected-error @below {{only private functions with a body can be called}}
  %0 = call @external(%x) : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

func.func @ids_go_through(%i: tensor<?x2xi32>) -> tensor<?x2xi32> {
  // expected-error @below {{result 0 is an argument or returned twice, and 'tensor<?x2xi32>' cannot be copied}}
  return %i : tensor<?x2xi32>
}

// -----

// expected-error @below {{has no buffer form: a cache that it is given needs one element type, got '!lm.state<2x16x(f32, i8)>'}}
func.func @chosen(%k: tensor<?x32xf32>, %kv: !lm.state<2x16x(f32, i8)>, %p: index) {
  lm.append %k, %k state(%kv) at %p : tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16x(f32, i8)>
  return
}

// -----

func.func @step(%tokens: tensor<?xi32>, %position: index, %rows: index) -> tensor<?x8xf32> attributes {lm.step} {
  %0 = lm.layer_state 0 : !lm.state<1x16x(f32, i8)>
  // expected-error @below {{may hold other element types than the caches of other layers}}
  %1 = lm.layer_state 1 : !lm.state<1x16xf32>
  %table = lm.weight @table : !lm.packed<8x8xf32, row_major>
  %x = lm.embedding %tokens, %table : (tensor<?xi32>, !lm.packed<8x8xf32, row_major>) -> tensor<?x8xf32>
  return %x : tensor<?x8xf32>
}
lm.weights @table : !lm.packed<8x8xf32, row_major>
