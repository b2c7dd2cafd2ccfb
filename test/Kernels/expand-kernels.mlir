// RUN: moe-opt %s --expand-kernels --canonicalize --split-input-file | FileCheck %s

// Slots share the rows; a row is loops over vectors of the target's lanes.
// CHECK-LABEL: func.func private @kernel_add_0(
// CHECK-NOT:     lm.add
// CHECK:         scf.for
// CHECK:           vector.load {{.*}} vector<8xf32>
// CHECK:           arith.addf {{.*}} : vector<8xf32>
// CHECK:           vector.store {{.*}} vector<8xf32>
module attributes {lm.target = {lanes = 8 : i64, registers = 16 : i64, row_budget = 262144 : i64}} {
  func.func private @kernel_add_0(%a: memref<?x64xf32>, %b: memref<?x64xf32>, %c: memref<?x64xf32>, %slot: index, %slots: index, %scratch: memref<?xi8>) attributes {lm.kernel} {
    lm.add %a, %b outs(%c) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
    return
  }
}

// -----

// A slot without a row adds nothing: what lies in row 0 is not looked at.
// CHECK-LABEL: func.func private @kernel_combine_0(
// CHECK:         %[[R:.*]] = arith.index_cast %{{.*}} : i32 to index
// CHECK:         %[[ROW:.*]] = arith.maxsi %[[R]], %c0
// CHECK:         %[[HAS:.*]] = arith.cmpi sge, %{{.*}}, %c0
// CHECK:         %[[IS:.*]] = arith.cmpi sge, %{{.*}} : i32
// CHECK:         %[[Y:.*]] = vector.load %{{.*}}[%[[ROW]], %{{.*}}]
// CHECK:         %[[SUM:.*]] = math.fma %{{.*}}, %[[Y]], %[[ZERO:.*]] : vector<8xf32>
// CHECK:         %[[ONE:.*]] = arith.select %[[HAS]], %[[SUM]], %[[ZERO]]
// CHECK:         %[[MORE:.*]] = math.fma %{{.*}}, %{{.*}}, %[[ONE]]
// CHECK:         arith.select %[[IS]], %[[MORE]], %[[ONE]]
module attributes {lm.target = {lanes = 8 : i64, registers = 16 : i64, row_budget = 262144 : i64}} {
  func.func private @kernel_combine_0(%y: memref<?x8xf32>, %w: memref<?x1xf32>, %n: memref<9xi32>, %r: memref<?xi32>, %i: memref<?x1xi32>, %x: memref<?x8xf32>, %out: memref<?x8xf32>, %slot: index, %slots: index, %scratch: memref<?xi8>) attributes {lm.kernel} {
    moe.combine %y, %w by %n, %n, %r, %r identity(%x, %i) outs(%out) {identity_from = 8 : i64} : (memref<?x8xf32>, memref<?x1xf32>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>, memref<?x8xf32>, memref<?x1xi32>, memref<?x8xf32>) -> ()
    return
  }
}

// -----

// Ids of zero-compute experts get no row; a full expert's last choice is found
// bit by bit.
// CHECK-LABEL: func.func private @kernel_dispatch_0(
// CHECK:         arith.cmpi ult, %{{.*}}, %{{.*}} : i32
// CHECK:         arith.cmpi sle, %{{.*}}, %c4
// CHECK:         arith.select %{{.*}}, %c0, %c31
module attributes {lm.target = {lanes = 8 : i64, registers = 16 : i64, row_budget = 262144 : i64}} {
  func.func private @kernel_dispatch_0(%i: memref<?x2xi32>, %n: memref<9xi32>, %r: memref<?xi32>, %slot: index, %slots: index, %scratch: memref<?xi8>) attributes {lm.kernel} {
    moe.dispatch %i experts(8) outs(%n, %n, %r, %r) {capacity = 4 : i64, overflow = #moe.overflow<position>} : (memref<?x2xi32>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>) -> ()
    return
  }
}

// -----

// One slot computes a loss, in f64.
// CHECK-LABEL: func.func private @kernel_z_loss_0(
// CHECK:         %[[FIRST:.*]] = arith.cmpi eq, %{{.*}}, %c0
// CHECK:         scf.if %[[FIRST]]
// CHECK:           scf.for {{.*}} -> (f64)
// CHECK:           memref.store %{{.*}}, %{{.*}}[] : memref<f32>
module attributes {lm.target = {lanes = 8 : i64, registers = 16 : i64, row_budget = 262144 : i64}} {
  func.func private @kernel_z_loss_0(%l: memref<?x8xf32>, %out: memref<f32>, %slot: index, %slots: index, %scratch: memref<?xi8>) attributes {lm.kernel} {
    moe.z_loss %l outs(%out) : (memref<?x8xf32>, memref<f32>) -> ()
    return
  }
}
