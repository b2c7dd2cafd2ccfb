// RUN: moe-opt %s --moe-plan-arena=scratch-bytes=128 --canonicalize --split-input-file --verify-diagnostics | FileCheck %s

// The third buffer lives after the first: they share a place. A row takes 256 bytes.
// CHECK: module attributes {lm.arena = {fixed = 0 : i64, per_thread = 128 : i64, per_token = 512 : i64}}
// CHECK-LABEL: func.func @sharing(
// CHECK-SAME:    %[[X:.*]]: memref<?x64xf32>, %[[ARENA:.*]]: memref<?xi8>, %[[CAPACITY:.*]]: index, %{{.*}}: index, %{{.*}}: index)
// CHECK-DAG:     %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG:     %[[C256:.*]] = arith.constant 256 : index
// CHECK:         %[[A:.*]] = memref.view %[[ARENA]][%[[C0]]][%[[N:.*]]] : memref<?xi8> to memref<?x64xf32>
// CHECK:         lm.add %[[X]], %[[X]] outs(%[[A]])
// CHECK:         %[[SECOND:.*]] = arith.muli %[[CAPACITY]], %[[C256]]
// CHECK:         %[[B:.*]] = memref.view %[[ARENA]][%[[SECOND]]][%[[N]]] : memref<?xi8> to memref<?x64xf32>
// CHECK:         lm.add %[[A]], %[[A]] outs(%[[B]])
// CHECK:         %[[C:.*]] = memref.view %[[ARENA]][%[[C0]]][%[[N]]] : memref<?xi8> to memref<?x64xf32>
// CHECK:         lm.add %[[B]], %[[B]] outs(%[[C]])
// CHECK-NOT:     memref.alloc
func.func @sharing(%x: memref<?x64xf32>, %arena: memref<?xi8>, %capacity: index, %extent: index, %slots: index) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?x64xf32>
  %a = memref.alloc(%n) {lm.rows_per_token = 1 : i64} : memref<?x64xf32>
  lm.add %x, %x outs(%a) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  %b = memref.alloc(%n) {lm.rows_per_token = 1 : i64} : memref<?x64xf32>
  lm.add %a, %a outs(%b) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  %c = memref.alloc(%n) {lm.rows_per_token = 1 : i64} : memref<?x64xf32>
  lm.add %b, %b outs(%c) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  lm.add %c, %c outs(%x) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}

// -----

// expected-error @below {{lacks the arguments that moe-to-buffers adds}}
func.func @no_context(%x: memref<?x64xf32>) {
  return
}

// -----

func.func @matrix(%arena: memref<?xi8>, %capacity: index, %extent: index, %slots: index) {
  // expected-error @below {{is no block of rows}}
  %a = memref.alloc(%capacity, %slots) : memref<?x?xf32>
  return
}
