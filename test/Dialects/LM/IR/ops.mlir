// Every lm op in value form: pretty and generic form, to and fro.
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s

// CHECK: lm.weights @embed : tensor<128x64xf32>
lm.weights @embed : tensor<128x64xf32>
// CHECK: lm.weights @layers.0.norm : tensor<64xbf16> {offset = 4096 : i64}
lm.weights @layers.0.norm : tensor<64xbf16> {offset = 4096 : i64}
// CHECK: lm.weights @packed : !lm.packed<8x64x64xbf16, paired_panel>
lm.weights @packed : !lm.packed<8x64x64xbf16, paired_panel>

// CHECK-LABEL: @weights
func.func @weights() {
  // CHECK: lm.weight @embed : tensor<128x64xf32>
  %a = lm.weight @embed : tensor<128x64xf32>
  // CHECK: lm.weight @packed : !lm.packed<8x64x64xbf16, paired_panel>
  %b = lm.weight @packed : !lm.packed<8x64x64xbf16, paired_panel>
  // CHECK: lm.layer_state 3 : !lm.state<2x16xf32>
  %c = lm.layer_state 3 : !lm.state<2x16xf32>
  return
}

// CHECK-LABEL: @rows
func.func @rows(%t: tensor<?xi32>, %table: tensor<128x64xf32>, %v: tensor<64xf32>, %w: tensor<32x64xf32>,
                %b: tensor<32xf32>, %s: tensor<?x1xf32>, %n: index) {
  // CHECK: %[[X:.*]] = lm.embedding %{{.*}}, %{{.*}} {scale = 8.000000e+00 : f64} : (tensor<?xi32>, tensor<128x64xf32>) -> tensor<?x64xf32>
  %x = lm.embedding %t, %table {scale = 8.0 : f64} : (tensor<?xi32>, tensor<128x64xf32>) -> tensor<?x64xf32>
  // CHECK: lm.linear %[[X]], %{{.*}} : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  %0 = lm.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
  // CHECK: lm.linear %[[X]], %{{.*}} bias(%{{.*}}) {clip = 8.000000e+00 : f64} : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<32xf32>) -> tensor<?x32xbf16>
  %1 = lm.linear %x, %w bias(%b) {clip = 8.0 : f64} : (tensor<?x64xf32>, tensor<32x64xf32>, tensor<32xf32>) -> tensor<?x32xbf16>
  // CHECK: lm.rms_norm %[[X]], %{{.*}} {eps = {{.*}} : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %2 = lm.rms_norm %x, %v {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  // CHECK: lm.rms_norm %[[X]], %{{.*}} {clip = 8.000000e+00 : f64, eps = {{.*}} : f64, groups = 2 : i64} : (tensor<?x64xf32>, tensor<32xf32>) -> tensor<?x64xf32>
  %3 = lm.rms_norm %x, %b {eps = 1.0e-05 : f64, groups = 2 : i64, clip = 8.0 : f64} : (tensor<?x64xf32>, tensor<32xf32>) -> tensor<?x64xf32>
  // CHECK: lm.layer_norm %[[X]], %[[V:.*]] bias(%[[V]]) {eps = {{.*}} : f64} : (tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %4 = lm.layer_norm %x, %v bias(%v) {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  // CHECK: lm.layer_norm %[[X]], %[[V]] {eps = {{.*}} : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %5 = lm.layer_norm %x, %v {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  // CHECK: lm.add %[[X]], %{{.*}} : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  %6 = lm.add %x, %5 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: lm.scaled_add %[[X]], %{{.*}}, %{{.*}} <sigmoid> : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x1xf32>) -> tensor<?x64xf32>
  %7 = lm.scaled_add %x, %6, %s <sigmoid> : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x1xf32>) -> tensor<?x64xf32>
  // CHECK: lm.last_rows %[[X]], %{{.*}} : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  %8 = lm.last_rows %x, %n : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

// CHECK-LABEL: @activations
func.func @activations(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>) {
  // CHECK: lm.activate %{{.*}} <silu> :
  %0 = lm.activate %x <silu> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: lm.activate %{{.*}} <gelu> :
  %1 = lm.activate %x <gelu> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: lm.activate %{{.*}} <gelu_tanh> :
  %2 = lm.activate %x <gelu_tanh> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: lm.activate %{{.*}} <relu> :
  %3 = lm.activate %x <relu> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: lm.activate %{{.*}} <sigmoid> :
  %4 = lm.activate %x <sigmoid> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: lm.gated %{{.*}} <silu> : (tensor<?x64xf32>) -> tensor<?x32xf32>
  %5 = lm.gated %x <silu> : (tensor<?x64xf32>) -> tensor<?x32xf32>
  // CHECK: lm.gated_linear %{{.*}}, %{{.*}} <gelu_tanh> : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x48xf32>
  %6 = lm.gated_linear %x, %w <gelu_tanh> : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x48xf32>
  return
}

// CHECK-LABEL: @attention
func.func @attention(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %t: tensor<?xi32>, %f: tensor<8xf32>,
                     %s: tensor<4xf32>, %kv: !lm.state<2x16xbf16>, %p: index) {
  // CHECK: %[[C:.*]] = lm.rope_table %{{.*}} at %{{.*}} tokens(%{{.*}}) {scale = 5.000000e-01 : f64} : (tensor<8xf32>, index, tensor<?xi32>) -> tensor<?x16xf32>
  %c = lm.rope_table %f at %p tokens(%t) {scale = 0.5 : f64} : (tensor<8xf32>, index, tensor<?xi32>) -> tensor<?x16xf32>
  // CHECK: lm.rope %{{.*}}, %[[C]] {heads = 4 : i64} : (tensor<?x64xf32>, tensor<?x16xf32>) -> tensor<?x64xf32>
  %0 = lm.rope %q, %c {heads = 4 : i64} : (tensor<?x64xf32>, tensor<?x16xf32>) -> tensor<?x64xf32>
  // CHECK: lm.rope %{{.*}}, %[[C]] {heads = 4 : i64, style = #lm.rope_style<adjacent>} : (tensor<?x64xf32>, tensor<?x16xf32>) -> tensor<?x64xf32>
  %1 = lm.rope %q, %c {heads = 4 : i64, style = #lm.rope_style<adjacent>} : (tensor<?x64xf32>, tensor<?x16xf32>) -> tensor<?x64xf32>
  // CHECK: lm.attention %{{.*}} append(%{{.*}}, %{{.*}}) state(%{{.*}}) at %{{.*}} {heads = 4 : i64, scale = 2.500000e-01 : f64} :
  %2 = lm.attention %q append(%k, %k) state(%kv) at %p {heads = 4 : i64, scale = 0.25 : f64}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16xbf16>, index) -> tensor<?x64xf32>
  // CHECK: lm.append %{{.*}}, %{{.*}} state(%{{.*}}) at %{{.*}} : tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16xbf16>
  lm.append %k, %k state(%kv) at %p : tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16xbf16>
  // CHECK: lm.attention %{{.*}} state(%{{.*}}) at %{{.*}} sinks(%{{.*}}) {heads = 4 : i64, scale = 2.500000e-01 : f64, window = 128 : i64} :
  %3 = lm.attention %q state(%kv) at %p sinks(%s) {heads = 4 : i64, scale = 0.25 : f64, window = 128 : i64}
      : (tensor<?x64xf32>, !lm.state<2x16xbf16>, index, tensor<4xf32>) -> tensor<?x64xf32>
  return
}
