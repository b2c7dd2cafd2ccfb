// RUN: moe-opt %s --split-input-file --verify-diagnostics

func.func @rope_table_c1(%f: tensor<8xf32>, %p: index, %t: tensor<?xi32>) {
  // expected-error @below {{(rope_table_c1) columns of the result (8) must be twice the elements of inv_freq (8)}}
  %0 = lm.rope_table %f at %p tokens(%t) : (tensor<8xf32>, index, tensor<?xi32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @rope_table_c2(%f: tensor<8xf32>, %p: index, %t: tensor<4xi32>) {
  // expected-error @below {{(rope_table_c2) rows of the result must be the number of tokens}}
  %0 = lm.rope_table %f at %p tokens(%t) : (tensor<8xf32>, index, tensor<4xi32>) -> tensor<5x16xf32>
  return
}

// -----

func.func @rope_c1(%x: tensor<?x64xf32>, %c: tensor<?x16xf32>) {
  // expected-error @below {{(rope_c1) heads (3) must divide the columns of x (64)}}
  %0 = lm.rope %x, %c {heads = 3 : i64} : (tensor<?x64xf32>, tensor<?x16xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @rope_c2(%x: tensor<?x64xf32>, %c: tensor<?x18xf32>) {
  // expected-error @below {{(rope_c2) columns of the table (18) must be even and at most those of a head (16)}}
  %0 = lm.rope %x, %c {heads = 4 : i64} : (tensor<?x64xf32>, tensor<?x18xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @rope_c3(%x: tensor<?x64xf32>, %c: tensor<?x16xf32>) {
  // expected-error @below {{(rope_c3) shapes 'tensor<?x64xf32>' and 'tensor<?x32xf32>' must agree}}
  %0 = lm.rope %x, %c {heads = 4 : i64} : (tensor<?x64xf32>, tensor<?x16xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @rope_c4(%x: tensor<4x64xf32>, %c: tensor<5x16xf32>) {
  // expected-error @below {{(rope_c4) rows of the table must be rows of x}}
  %0 = lm.rope %x, %c {heads = 4 : i64} : (tensor<4x64xf32>, tensor<5x16xf32>) -> tensor<4x64xf32>
  return
}

// -----

func.func @attention_c1(%q: tensor<?x64xf32>, %kv: !lm.state<2x16xf32>, %p: index) {
  // expected-error @below {{(attention_c1) columns of q (64) must be heads (2) times the head size (16)}}
  %0 = lm.attention %q state(%kv) at %p {heads = 2 : i64, scale = 1.0 : f64} : (tensor<?x64xf32>, !lm.state<2x16xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

func.func @attention_c2(%q: tensor<?x64xf32>, %kv: !lm.state<2x16xf32>, %p: index) {
  // expected-error @below {{(attention_c2) columns of k and v must be 32, got 'tensor<?x64xf32>'}}
  %0 = lm.attention %q append(%q, %q) state(%kv) at %p {heads = 4 : i64, scale = 1.0 : f64} : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !lm.state<2x16xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

func.func @attention_c3(%q: tensor<?x64xf32>, %kv: !lm.state<3x16xf32>, %p: index) {
  // expected-error @below {{(attention_c3) kv heads (3) must divide heads (4)}}
  %0 = lm.attention %q state(%kv) at %p {heads = 4 : i64, scale = 1.0 : f64} : (tensor<?x64xf32>, !lm.state<3x16xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

func.func @attention_c4(%q: tensor<4x64xf32>, %k: tensor<5x32xf32>, %kv: !lm.state<2x16xf32>, %p: index) {
  // expected-error @below {{(attention_c4) rows of q, k and v must agree}}
  %0 = lm.attention %q append(%k, %k) state(%kv) at %p {heads = 4 : i64, scale = 1.0 : f64} : (tensor<4x64xf32>, tensor<5x32xf32>, tensor<5x32xf32>, !lm.state<2x16xf32>, index) -> tensor<4x64xf32>
  return
}

// -----

func.func @attention_c4_result(%q: tensor<?x64xf32>, %kv: !lm.state<2x16xf32>, %p: index) {
  // expected-error @below {{(attention_c4) shapes 'tensor<?x64xf32>' and 'tensor<?x32xf32>' must agree}}
  %0 = lm.attention %q state(%kv) at %p {heads = 4 : i64, scale = 1.0 : f64} : (tensor<?x64xf32>, !lm.state<2x16xf32>, index) -> tensor<?x32xf32>
  return
}

// -----

func.func @attention_c5(%q: tensor<?x64xf32>, %kv: !lm.state<2x16xf32>, %p: index) {
  // expected-error @below {{(attention_c5) window must not be negative}}
  %0 = lm.attention %q state(%kv) at %p {heads = 4 : i64, scale = 1.0 : f64, window = -1 : i64} : (tensor<?x64xf32>, !lm.state<2x16xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

func.func @attention_c6(%q: tensor<?x64xf32>, %kv: !lm.state<2x16xf32>, %p: index, %s: tensor<2xf32>) {
  // expected-error @below {{(attention_c6) sinks must have 4 elements, got 'tensor<2xf32>'}}
  %0 = lm.attention %q state(%kv) at %p sinks(%s) {heads = 4 : i64, scale = 1.0 : f64} : (tensor<?x64xf32>, !lm.state<2x16xf32>, index, tensor<2xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @attention_c7(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %kv: !lm.state<2x16xf32>, %p: index) {
  // expected-error @below {{(attention_c7) keys and values come together}}
  %0 = "lm.attention"(%q, %k, %kv, %p) <{heads = 4 : i64, scale = 1.0 : f64, operandSegmentSizes = array<i32: 1, 1, 0, 1, 1, 0, 0, 0, 0>}> : (tensor<?x64xf32>, tensor<?x32xf32>, !lm.state<2x16xf32>, index) -> tensor<?x64xf32>
  return
}

// -----

func.func @attention_c8(%q: memref<?x64xf32>, %kv: memref<?xi8>, %p: index, %e: index) {
  // expected-error @below {{(attention_c8) the bytes of a cache need a state_type, an extent and, of several element types, types of keys and of values}}
  lm.attention %q state(%kv) at %p outs(%q) extent(%e) {heads = 4 : i64, scale = 1.0 : f64} : (memref<?x64xf32>, memref<?xi8>, index, memref<?x64xf32>, index) -> ()
  return
}

// -----

func.func @attention_c8_not_a_state(%q: memref<?x64xf32>, %kv: memref<?xi8>, %p: index, %e: index) {
  // expected-error @below {{(attention_c8) the bytes of a cache need a state_type, an extent and, of several element types, types of keys and of values}}
  lm.attention %q state(%kv) at %p outs(%q) extent(%e) {heads = 4 : i64, scale = 1.0 : f64, state_type = f32} : (memref<?x64xf32>, memref<?xi8>, index, memref<?x64xf32>, index) -> ()
  return
}

// -----

func.func @attention_c8_extent(%q: memref<?x64xf32>, %kv: memref<?xi8>, %p: index) {
  // expected-error @below {{(attention_c8) the bytes of a cache need a state_type, an extent and, of several element types, types of keys and of values}}
  lm.attention %q state(%kv) at %p outs(%q) {heads = 4 : i64, scale = 1.0 : f64, state_type = !lm.state<2x16xf32>} : (memref<?x64xf32>, memref<?xi8>, index, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @append_c1(%k: tensor<?x16xf32>, %kv: !lm.state<2x16xf32>, %p: index) {
  // expected-error @below {{(append_c1) columns of k and v must be 32, got 'tensor<?x16xf32>'}}
  lm.append %k, %k state(%kv) at %p : tensor<?x16xf32>, tensor<?x16xf32>, !lm.state<2x16xf32>
  return
}

// -----

func.func @append_c1_dynamic(%k: tensor<?x?xf32>, %kv: !lm.state<2x16xf32>, %p: index) {
  // expected-error @below {{(append_c1) columns of k and v must be 32, got 'tensor<?x?xf32>'}}
  lm.append %k, %k state(%kv) at %p : tensor<?x?xf32>, tensor<?x?xf32>, !lm.state<2x16xf32>
  return
}

// -----

func.func @append_c2(%k: memref<?x32xf32>, %kv: memref<?xi8>, %p: index) {
  // expected-error @below {{(append_c2) the bytes of a cache need a state_type, an extent and, of several element types, types of keys and of values}}
  lm.append %k, %k state(%kv) at %p : memref<?x32xf32>, memref<?x32xf32>, memref<?xi8>
  return
}

// -----

func.func @append_c3(%k: tensor<4x32xf32>, %v: tensor<5x32xf32>, %kv: !lm.state<2x16xf32>, %p: index) {
  // expected-error @below {{(append_c3) rows of k and v must agree}}
  lm.append %k, %v state(%kv) at %p : tensor<4x32xf32>, tensor<5x32xf32>, !lm.state<2x16xf32>
  return
}

// -----

func.func @append_c4(%k: memref<?x32xf32>, %kv: !lm.state<2x16xf32>, %p: index) {
  // expected-error @below {{(append_c4) k, v and the state must all be values or all be buffers}}
  lm.append %k, %k state(%kv) at %p : memref<?x32xf32>, memref<?x32xf32>, !lm.state<2x16xf32>
  return
}

// -----

func.func @not_a_cache(%q: memref<?x64xf32>, %kv: memref<?x?xi8>, %p: index) {
  // expected-error @below {{operand #1 must be a KV cache handle or its bytes, but got 'memref<?x?xi8>'}}
  lm.attention %q state(%kv) at %p outs(%q) {heads = 4 : i64, scale = 1.0 : f64} : (memref<?x64xf32>, memref<?x?xi8>, index, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @attention_c8_types(%q: memref<?x64xf32>, %kv: memref<?xi8>, %p: index, %e: index) {
  // expected-error @below {{(attention_c8) the bytes of a cache need a state_type, an extent and, of several element types, types of keys and of values}}
  lm.attention %q state(%kv) at %p outs(%q) extent(%e) {heads = 4 : i64, scale = 1.0 : f64, state_type = !lm.state<2x16x(f32, i8)>} : (memref<?x64xf32>, memref<?xi8>, index, memref<?x64xf32>, index) -> ()
  return
}

// -----

func.func @append_c2_one_type(%k: memref<?x32xf32>, %kv: memref<?xi8>, %p: index, %e: index) {
  // expected-error @below {{(append_c2) the bytes of a cache need a state_type, an extent and, of several element types, types of keys and of values}}
  lm.append %k, %k state(%kv) at %p extent(%e) types(%e) {state_type = !lm.state<2x16x(f32, i8)>} : memref<?x32xf32>, memref<?x32xf32>, memref<?xi8>
  return
}

// -----

func.func @append_c2_nothing_to_choose(%k: memref<?x32xf32>, %kv: memref<?xi8>, %p: index, %e: index) {
  // expected-error @below {{(append_c2) the bytes of a cache need a state_type, an extent and, of several element types, types of keys and of values}}
  lm.append %k, %k state(%kv) at %p extent(%e) types(%e, %e) {state_type = !lm.state<2x16xf32>} : memref<?x32xf32>, memref<?x32xf32>, memref<?xi8>
  return
}

// -----

func.func @append_c2_of_a_handle(%k: tensor<?x32xf32>, %kv: !lm.state<2x16x(f32, i8)>, %p: index, %e: index) {
  // expected-error @below {{(append_c2) the bytes of a cache need a state_type, an extent and, of several element types, types of keys and of values}}
  lm.append %k, %k state(%kv) at %p types(%e, %e) : tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16x(f32, i8)>
  return
}
