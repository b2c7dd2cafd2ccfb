// RUN: moe-opt %s --moe-to-buffers --cse | FileCheck %s

// CHECK: module attributes {lm.layout = {record_slots = array<i64>, state_bytes_per_position = 0 : i64, weight_bytes = 65536 : i64}}
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
