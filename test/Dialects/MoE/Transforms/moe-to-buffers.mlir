// RUN: moe-opt %s --moe-to-buffers --cse | FileCheck %s

// CHECK: module attributes {lm.layout = {record_slots = array<i64>, state_bytes_per_position = array<i64>, weight_bytes = 65536 : i64}}
// CHECK-DAG: memref.global "private" constant @[[REC_A:record_0]] : memref<2xindex> = dense<[32768, 0]>
// CHECK-DAG: memref.global "private" constant @[[REC_B:record_1]] : memref<2xindex> = dense<[49152, 0]>
// CHECK: lm.weights @embed {{.*}} {offset = 0 : i64}
lm.weights @embed : !lm.packed<128x64xf32, row_major>
// CHECK: lm.weights @a {{.*}} {offset = 32768 : i64}
lm.weights @a : !lm.packed<64x64xf32, panel>
// CHECK: lm.weights @b {{.*}} {offset = 49152 : i64}
lm.weights @b : !lm.packed<64x64xf32, panel>

// A layer finds its weights by a record of offsets, and writes its result where the caller wants it.
// CHECK: func.func private @layer(%[[X:.*]]: memref<?x64xf32>, %[[OUT:.*]]: memref<?x64xf32>, %[[BYTES:.*]]: memref<?xi8>, %[[RECORD:.*]]: memref<?xindex>,
// CHECK:   %[[OFFSET:.*]] = memref.load %[[RECORD]][%{{.*}}]
// CHECK:   %[[W:.*]] = memref.view %[[BYTES]][%[[OFFSET]]][] : memref<?xi8> to memref<1x4x64x16xf32>
// CHECK:   lm.linear %[[X]], %[[W]] outs(%[[OUT]])
func.func private @layer(%x: tensor<?x64xf32>, %w: !lm.packed<64x64xf32, panel>) -> tensor<?x64xf32> {
  %y = lm.linear %x, %w : (tensor<?x64xf32>, !lm.packed<64x64xf32, panel>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK: func.func @step(%{{.*}}: memref<?xi8>, {{.*}}) attributes {lm.step}
// CHECK:   lm.embedding %{{.*}}, %{{.*}} outs(%[[E:.*]]) :
// CHECK:   memref.get_global @[[REC_A]]
// CHECK:   call @layer(%[[E]], %[[L0:[^,]*]],
// CHECK:   memref.get_global @[[REC_B]]
// CHECK:   call @layer(%[[L0]], %[[L1:[^,]*]],
// CHECK:   lm.last_rows %[[L1]], %{{.*}} outs(%{{.*}})
func.func @step(%t: tensor<?xi32>, %p: index, %rows: index) -> tensor<?x64xf32> attributes {lm.step} {
  %e = lm.weight @embed : !lm.packed<128x64xf32, row_major>
  %a = lm.weight @a : !lm.packed<64x64xf32, panel>
  %b = lm.weight @b : !lm.packed<64x64xf32, panel>
  %x = lm.embedding %t, %e : (tensor<?xi32>, !lm.packed<128x64xf32, row_major>) -> tensor<?x64xf32>
  %0 = call @layer(%x, %a) : (tensor<?x64xf32>, !lm.packed<64x64xf32, panel>) -> tensor<?x64xf32>
  %1 = call @layer(%0, %b) : (tensor<?x64xf32>, !lm.packed<64x64xf32, panel>) -> tensor<?x64xf32>
  %2 = lm.last_rows %1, %rows : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return %2 : tensor<?x64xf32>
}

// A plan is four buffers, and rows of choices are k times the rows of tokens.
// CHECK: func.func @plan(
// CHECK:   %[[TOKENS:.*]] = memref.dim %[[IDS:.*]], %{{.*}} : memref<?x2xi32>
// CHECK:   %[[CHOICES:.*]] = arith.muli %[[TOKENS]], %{{.*}}
// CHECK:   %[[OFFSETS:.*]] = memref.alloc() {{.*}} : memref<9xi32>
// CHECK:   %[[WORK:.*]] = memref.alloc() {{.*}} : memref<9xi32>
// CHECK:   %[[TOKEN:.*]] = memref.alloc(%[[CHOICES]]) {lm.rows_per_token = 2 : i64} : memref<?xi32>
// CHECK:   %[[ROW:.*]] = memref.alloc(%[[CHOICES]]) {lm.rows_per_token = 2 : i64} : memref<?xi32>
// CHECK:   moe.dispatch %[[IDS]] experts(8) outs(%[[OFFSETS]], %[[WORK]], %[[TOKEN]], %[[ROW]])
// CHECK:   moe.combine %{{.*}}, %{{.*}} by %[[OFFSETS]], %[[WORK]], %[[TOKEN]], %[[ROW]] outs(
func.func @plan(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>, %y: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %p = moe.dispatch %i experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  %c = moe.combine %y, %w by %p : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return %c : tensor<?x64xf32>
}

// Capacity, row scale and zero-compute experts stay attributes and operands.
// CHECK: func.func @bounded(%[[X:.*]]: memref<?x64xf32>, %[[I:.*]]: memref<?x2xi32>, %[[W:.*]]: memref<?x2xf32>,
// CHECK:   moe.dispatch %[[I]] weights(%[[W]]) experts(8) outs(%[[OFFSETS:.*]], %[[WORK:.*]], %[[TOKEN:.*]], %[[ROW:.*]]) {capacity = 4 : i64, overflow = #moe.overflow<probability>}
// CHECK:   moe.grouped_matmul gather %[[X]], %{{.*}} by %[[OFFSETS]], %[[WORK]], %[[TOKEN]], %[[ROW]] row_scale(%[[W]]) outs(%[[Y:.*]]) :
// CHECK:   moe.combine %[[Y]], %[[W]] by %[[OFFSETS]], %[[WORK]], %[[TOKEN]], %[[ROW]] identity(%[[X]], %[[I]]) outs(%{{.*}}) {identity_from = 8 : i64}
func.func @bounded(%x: tensor<?x64xf32>, %i: tensor<?x2xi32>, %w: tensor<?x2xf32>, %m: !lm.packed<8x64x64xf32, panel>) -> tensor<?x64xf32> {
  %p = moe.dispatch %i weights(%w) experts(8) {capacity = 4 : i64, overflow = #moe.overflow<probability>} : (tensor<?x2xi32>, tensor<?x2xf32>) -> !moe.plan<8, 2>
  %y = moe.grouped_matmul gather %x, %m by %p row_scale(%w) : (tensor<?x64xf32>, !lm.packed<8x64x64xf32, panel>, !moe.plan<8, 2>, tensor<?x2xf32>) -> tensor<?x64xf32>
  %c = moe.combine %y, %w by %p identity(%x, %i) {identity_from = 8 : i64} : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, tensor<?x64xf32>, tensor<?x2xi32>) -> tensor<?x64xf32>
  return %c : tensor<?x64xf32>
}

// A loss is written to a scalar of the caller's.
// CHECK: func.func @loss(%[[L:.*]]: memref<?x8xf32>, %[[OUT:.*]]: memref<f32>, %{{.*}}: memref<?xi8>
// CHECK:   moe.z_loss %[[L]] outs(%[[OUT]]) : (memref<?x8xf32>, memref<f32>) -> ()
func.func @loss(%l: tensor<?x8xf32>) -> tensor<f32> {
  %0 = moe.z_loss %l : (tensor<?x8xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}

// Caches of several element types: which ones comes with the call, and what a layer's cache takes follows.
// CHECK-LABEL: func.func private @chosen(
// CHECK-SAME:    %[[KEYS:[^ ]*]]: index, %[[VALUES:[^ ]*]]: index, %{{[^ ]*}}: index) {
// CHECK:         lm.append {{.*}} types(%[[KEYS]], %[[VALUES]]) {state_type = !lm.state<2x16x(f32, i8)>}
func.func private @chosen(%k: tensor<?x32xf32>, %kv: !lm.state<2x16x(f32, i8)>, %p: index) {
  lm.append %k, %k state(%kv) at %p : tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16x(f32, i8)>
  return
}

// Attributes of arguments and results are of those that are gone.
// CHECK-LABEL: func.func @attributes(
// CHECK-NOT:     llvm.
// CHECK:         return
func.func @attributes(%x: tensor<?x8xf32> {llvm.noalias}) -> (tensor<?x8xf32> {llvm.noundef}) {
  %y = lm.add %x, %x : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
