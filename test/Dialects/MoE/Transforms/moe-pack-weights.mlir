// RUN: moe-opt %s --moe-pack-weights --split-input-file --verify-diagnostics | FileCheck %s

// Through calls, to declarations.
// CHECK: lm.weights @g : !lm.packed<8x64xf32, panel>
lm.weights @g : tensor<8x64xf32>
// CHECK: lm.weights @n : !lm.packed<64xf32, row_major>
lm.weights @n : tensor<64xf32>
// CHECK: func.func private @layer(%{{.*}}: tensor<?x64xf32>, %{{.*}}: !lm.packed<8x64xf32, panel>) -> tensor<?x8xf32>
func.func private @layer(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) -> tensor<?x8xf32> {
  %y = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
// CHECK-LABEL: func.func @step
func.func @step(%x: tensor<?x64xf32>) -> tensor<?x8xf32> {
  // CHECK: lm.weight @n : !lm.packed<64xf32, row_major>
  %n = lm.weight @n : tensor<64xf32>
  // CHECK: lm.weight @g : !lm.packed<8x64xf32, panel>
  %g = lm.weight @g : tensor<8x64xf32>
  %0 = lm.rms_norm %x, %n {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %1 = call @layer(%0, %g) : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// Gate and up lie side by side where an activation joins them.
// CHECK-LABEL: func.func @experts
// CHECK-SAME:    !lm.packed<8x64x64xf32, paired_panel>
// CHECK-SAME:    !lm.packed<8x64x32xf32, panel>
func.func @experts(%x: tensor<?x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>, %p: !moe.plan<8, 2>) -> tensor<?x64xf32> {
  %h = moe.grouped_matmul gather %x, %gu by %p epilogue <silu> : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  %y = moe.grouped_matmul %h, %dn by %p : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @two_layouts(%t: tensor<?xi32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %x = lm.embedding %t, %w : (tensor<?xi32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  // expected-error @below {{needs a weight in layout panel that another use needs in row_major}}
  %y = lm.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @computed_weight(%x: tensor<4x64xf32>) -> tensor<4x4xf32> {
  %w = lm.add %x, %x : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x64xf32>
  // expected-error @below {{a weight must be an argument of a function or the result of lm.weight}}
  %y = lm.linear %x, %w : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

func.func @no_format(%x: tensor<?x64xf64>, %w: tensor<8x64xf64>) -> tensor<?x8xf64> {
  // expected-error @below {{packed weight: element type must be f32, bf16 or f16, got 'f64'}}
  %y = lm.linear %x, %w : (tensor<?x64xf64>, tensor<8x64xf64>) -> tensor<?x8xf64>
  return %y : tensor<?x8xf64>
}

// -----

func.func @weight_as_rows(%x: tensor<8x64xf32>, %w: tensor<8x64xf32>) -> tensor<8x8xf32> {
  %y = lm.linear %x, %w : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<8x8xf32>
  // expected-error @below {{operand #1 must be a 2-D tensor or memref of floats, but got '!lm.packed<8x64xf32, panel>'}}
  %z = lm.add %x, %w : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<8x64xf32>
  return %y : tensor<8x8xf32>
}

// -----

// A quantised argument's format becomes part of the type, in its callers too.
// CHECK: lm.weights @q : !lm.packed<8x64xint8, panel>
lm.weights @q : tensor<8x64xbf16>
// CHECK: func.func private @quantised(%{{.*}}: tensor<?x64xf32>, %{{.*}}: !lm.packed<8x64xint8, panel>) -> tensor<?x8xf32>
func.func private @quantised(%x: tensor<?x64xf32>, %g: tensor<8x64xbf16> {lm.format = #lm.format<int8>}) -> tensor<?x8xf32> {
  %y = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xbf16>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @step(%x: tensor<?x64xf32>) -> tensor<?x8xf32> {
  // CHECK: lm.weight @q : !lm.packed<8x64xint8, panel>
  %g = lm.weight @q : tensor<8x64xbf16>
  %1 = call @quantised(%x, %g) : (tensor<?x64xf32>, tensor<8x64xbf16>) -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// -----

func.func @quantised_rows(%t: tensor<?xi32>, %w: tensor<64x64xf32> {lm.format = #lm.format<int4>}) -> tensor<?x64xf32> {
  // expected-error @below {{packed weight: format int4 lies in panels only, got row_major}}
  %x = lm.embedding %t, %w : (tensor<?xi32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %x : tensor<?x64xf32>
}

// -----

func.func private @as_int8(%x: tensor<?x64xf32>, %g: tensor<8x64xf32> {lm.format = #lm.format<int8>}) -> tensor<?x8xf32> {
  %y = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @two_formats(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{needs a weight in format int8, which the function's argument does not have (lm.format)}}
  %0 = call @as_int8(%x, %g) : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

lm.weights @g : tensor<8x64xf32>
func.func private @as_int4(%x: tensor<?x64xf32>, %g: tensor<8x64xf32> {lm.format = #lm.format<int4>}) -> tensor<?x8xf32> {
  %y = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @two_uses(%x: tensor<?x64xf32>) -> tensor<?x8xf32> {
  %g = lm.weight @g : tensor<8x64xf32>
  %0 = call @as_int4(%x, %g) : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  // expected-error @below {{needs a weight in another format than int4, which another use needs}}
  %y = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @quantised_router(%x: tensor<?x64xf32>, %g: tensor<8x64xf32> {lm.format = #lm.format<int8>}) -> (tensor<?x2xf32>, tensor<?x2xi32>) {
  // expected-error @below {{a router's weight cannot be quantised, got format int8}}
  %w, %i, %p = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 2>)
  return %w, %i : tensor<?x2xf32>, tensor<?x2xi32>
}

// -----

// expected-error @below {{(format_c1) lm.format of argument 1: no product reads it as a weight}}
func.func @format_of_rows(%x: tensor<?x64xf32>, %u: tensor<32x64xf32> {lm.format = #lm.format<int4>}) -> tensor<?x64xf32> {
  return %x : tensor<?x64xf32>
}
