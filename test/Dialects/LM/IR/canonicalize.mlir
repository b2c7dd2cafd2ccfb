// RUN: moe-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: @add_negative_zero(
// CHECK-NEXT:    return %arg0, %arg0
func.func @add_negative_zero(%x: tensor<4x64xf32>) -> (tensor<4x64xf32>, tensor<4x64xf32>) {
  %zero = arith.constant dense<-0.0> : tensor<4x64xf32>
  %0 = lm.add %x, %zero : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x64xf32>
  %1 = lm.add %zero, %x : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x64xf32>
  return %0, %1 : tensor<4x64xf32>, tensor<4x64xf32>
}

// -0 + 0 is +0.
// CHECK-LABEL: @add_positive_zero(
// CHECK:         lm.add
func.func @add_positive_zero(%x: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %zero = arith.constant dense<0.0> : tensor<4x64xf32>
  %0 = lm.add %x, %zero : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x64xf32>
  return %0 : tensor<4x64xf32>
}

// CHECK-LABEL: @add_rounds(
// CHECK:         lm.add
func.func @add_rounds(%x: tensor<4x64xf32>) -> tensor<4x64xbf16> {
  %zero = arith.constant dense<-0.0> : tensor<4x64xf32>
  %0 = lm.add %x, %zero : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x64xbf16>
  return %0 : tensor<4x64xbf16>
}

// CHECK-LABEL: @relu_twice(
// CHECK-NEXT:    %[[Y:.*]] = lm.activate %arg0 <relu>
// CHECK-NEXT:    return %[[Y]]
func.func @relu_twice(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %0 = lm.activate %x <relu> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %1 = lm.activate %0 <relu> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// CHECK-LABEL: @sigmoid_twice(
// CHECK-COUNT-2: lm.activate
func.func @sigmoid_twice(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %0 = lm.activate %x <sigmoid> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %1 = lm.activate %0 <sigmoid> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %1 : tensor<?x64xf32>
}

// CHECK-LABEL: @all_rows(
// CHECK-NEXT:    return %arg0, %arg1
func.func @all_rows(%x: tensor<4x64xf32>, %y: tensor<?x64xf32>) -> (tensor<4x64xf32>, tensor<?x64xf32>) {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %n = tensor.dim %y, %c0 : tensor<?x64xf32>
  %0 = lm.last_rows %x, %c4 : (tensor<4x64xf32>, index) -> tensor<4x64xf32>
  %1 = lm.last_rows %y, %n : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return %0, %1 : tensor<4x64xf32>, tensor<?x64xf32>
}

// CHECK-LABEL: @some_rows(
// CHECK-COUNT-2: lm.last_rows
func.func @some_rows(%x: tensor<4x64xf32>, %y: tensor<?x64xf32>, %n: index) -> (tensor<1x64xf32>, tensor<?x64xf32>) {
  %c1 = arith.constant 1 : index
  %0 = lm.last_rows %x, %c1 : (tensor<4x64xf32>, index) -> tensor<1x64xf32>
  %1 = lm.last_rows %y, %n : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return %0, %1 : tensor<1x64xf32>, tensor<?x64xf32>
}

// CHECK-LABEL: @unused(
// CHECK-NEXT:    return
func.func @unused(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>, %v: tensor<64xf32>, %t: tensor<?xi32>, %table: tensor<128x64xf32>) {
  %0 = lm.embedding %t, %table : (tensor<?xi32>, tensor<128x64xf32>) -> tensor<?x64xf32>
  %1 = lm.gated_linear %0, %w <silu> : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x48xf32>
  %2 = lm.rms_norm %x, %v {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// A cache and buffers are written: nothing is unused.
// CHECK-LABEL: @used(
// CHECK-NEXT:    lm.attention
// CHECK-NEXT:    lm.append
// CHECK-NEXT:    lm.add
func.func @used(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %kv: !lm.state<2x16xf32>, %p: index, %x: memref<?x64xf32>) {
  %0 = lm.attention %q append(%k, %k) state(%kv) at %p {heads = 4 : i64, scale = 0.25 : f64}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16xf32>, index) -> tensor<?x64xf32>
  lm.append %k, %k state(%kv) at %p : tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16xf32>
  lm.add %x, %x outs(%x) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}
