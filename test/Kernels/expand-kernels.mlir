// RUN: moe-opt %s --expand-kernels --canonicalize | FileCheck %s

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
