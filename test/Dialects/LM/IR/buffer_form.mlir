// Every lm op in buffer form: memrefs, `outs`, no results.
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s

// CHECK-LABEL: @rows
func.func @rows(%t: memref<?xi32>, %table: memref<128x64xf32>, %w: memref<1x2x64x16xf32>, %v: memref<64xf32>,
                %b: memref<32xf32>, %s: memref<?x1xf32>, %n: index, %x: memref<?x64xf32>, %y: memref<?x32xf32>) {
  // CHECK: lm.embedding %{{.*}}, %{{.*}} outs(%[[X:.*]]) : (memref<?xi32>, memref<128x64xf32>, memref<?x64xf32>) -> ()
  lm.embedding %t, %table outs(%x) : (memref<?xi32>, memref<128x64xf32>, memref<?x64xf32>) -> ()
  // CHECK: lm.linear %[[X]], %{{.*}} bias(%{{.*}}) outs(%{{.*}}) : (memref<?x64xf32>, memref<1x2x64x16xf32>, memref<32xf32>, memref<?x32xf32>) -> ()
  lm.linear %x, %w bias(%b) outs(%y) : (memref<?x64xf32>, memref<1x2x64x16xf32>, memref<32xf32>, memref<?x32xf32>) -> ()
  // CHECK: lm.rms_norm %[[X]], %{{.*}} outs(%{{.*}}) {eps = {{.*}} : f64} : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  lm.rms_norm %x, %v outs(%x) {eps = 1.0e-05 : f64} : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  // CHECK: lm.layer_norm %[[X]], %{{.*}} bias(%{{.*}}) outs(%{{.*}}) {eps = {{.*}} : f64} : (memref<?x64xf32>, memref<64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  lm.layer_norm %x, %v bias(%v) outs(%x) {eps = 1.0e-05 : f64} : (memref<?x64xf32>, memref<64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  // CHECK: lm.add %[[X]], %[[X]] outs(%[[X]]) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  lm.add %x, %x outs(%x) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  // CHECK: lm.scaled_add %[[X]], %[[X]], %{{.*}} <sigmoid> outs(%[[X]]) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x1xf32>, memref<?x64xf32>) -> ()
  lm.scaled_add %x, %x, %s <sigmoid> outs(%x) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x1xf32>, memref<?x64xf32>) -> ()
  // CHECK: lm.last_rows %[[X]], %{{.*}} outs(%[[X]]) : (memref<?x64xf32>, index, memref<?x64xf32>) -> ()
  lm.last_rows %x, %n outs(%x) : (memref<?x64xf32>, index, memref<?x64xf32>) -> ()
  // CHECK: lm.activate %[[X]] <relu> outs(%[[X]]) : (memref<?x64xf32>, memref<?x64xf32>) -> ()
  lm.activate %x <relu> outs(%x) : (memref<?x64xf32>, memref<?x64xf32>) -> ()
  // CHECK: lm.gated %[[X]] <silu> outs(%{{.*}}) : (memref<?x64xf32>, memref<?x32xf32>) -> ()
  lm.gated %x <silu> outs(%y) : (memref<?x64xf32>, memref<?x32xf32>) -> ()
  // CHECK: lm.gated_linear %[[X]], %{{.*}} <silu> outs(%{{.*}}) : (memref<?x64xf32>, memref<1x2x64x16xf32>, memref<?x32xf32>) -> ()
  lm.gated_linear %x, %w <silu> outs(%y) : (memref<?x64xf32>, memref<1x2x64x16xf32>, memref<?x32xf32>) -> ()
  return
}

// CHECK-LABEL: @attention
func.func @attention(%q: memref<?x64xf32>, %k: memref<?x32xf32>, %t: memref<?xi32>, %f: memref<8xf32>,
                     %kv: memref<?xi8>, %p: index, %extent: index, %c: memref<?x16xf32>) {
  // CHECK: lm.rope_table %{{.*}} at %{{.*}} tokens(%{{.*}}) outs(%{{.*}}) : (memref<8xf32>, index, memref<?xi32>, memref<?x16xf32>) -> ()
  lm.rope_table %f at %p tokens(%t) outs(%c) : (memref<8xf32>, index, memref<?xi32>, memref<?x16xf32>) -> ()
  // CHECK: lm.rope %{{.*}}, %{{.*}} outs(%{{.*}}) {heads = 4 : i64} : (memref<?x64xf32>, memref<?x16xf32>, memref<?x64xf32>) -> ()
  lm.rope %q, %c outs(%q) {heads = 4 : i64} : (memref<?x64xf32>, memref<?x16xf32>, memref<?x64xf32>) -> ()
  // CHECK: lm.append %{{.*}}, %{{.*}} state(%{{.*}}) at %{{.*}} extent(%{{.*}}) {state_type = !lm.state<2x16xbf16>} : memref<?x32xf32>, memref<?x32xf32>, memref<?xi8>
  lm.append %k, %k state(%kv) at %p extent(%extent) {state_type = !lm.state<2x16xbf16>} : memref<?x32xf32>, memref<?x32xf32>, memref<?xi8>
  // CHECK: lm.append {{.*}} extent(%{{.*}}) types(%[[KEYS:.*]], %[[VALUES:.*]]) {state_type = !lm.state<2x16x(bf16, i8)>} :
  lm.append %k, %k state(%kv) at %p extent(%extent) types(%p, %extent) {state_type = !lm.state<2x16x(bf16, i8)>} : memref<?x32xf32>, memref<?x32xf32>, memref<?xi8>
  // CHECK: lm.attention {{.*}} extent(%{{.*}}) types(%[[KEYS]], %[[VALUES]]) {heads
  lm.attention %q state(%kv) at %p outs(%q) extent(%extent) types(%p, %extent) {heads = 4 : i64, scale = 0.25 : f64, state_type = !lm.state<2x16x(bf16, i8)>}
      : (memref<?x64xf32>, memref<?xi8>, index, memref<?x64xf32>, index, index, index) -> ()
  // CHECK: lm.attention %{{.*}} state(%{{.*}}) at %{{.*}} outs(%{{.*}}) extent(%{{.*}}) {heads = 4 : i64, scale = 2.500000e-01 : f64, state_type = !lm.state<2x16xbf16>} : (memref<?x64xf32>, memref<?xi8>, index, memref<?x64xf32>, index) -> ()
  lm.attention %q state(%kv) at %p outs(%q) extent(%extent) {heads = 4 : i64, scale = 0.25 : f64, state_type = !lm.state<2x16xbf16>}
      : (memref<?x64xf32>, memref<?xi8>, index, memref<?x64xf32>, index) -> ()
  return
}
