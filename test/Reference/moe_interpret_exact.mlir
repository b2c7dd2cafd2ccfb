// RUN: moe-interpret %s --function=route | FileCheck %s

// Keys 3, 2, 2, NaN: the tie goes to the lower id, NaN comes last.
// CHECK-LABEL: result 0: 1x4xf32
// CHECK-NEXT: 3 2 2 nan
// CHECK-NEXT: result 1: 1x4xi32
// CHECK-NEXT: 1 0 3 2
func.func @route() -> (tensor<1x4xf32>, tensor<1x4xi32>) {
  %l = arith.constant dense<[[2.0, 3.0, 0x7FC00000, 2.0]]> : tensor<1x4xf32>
  %w, %i = moe.router %l <score = identity, top_k = 4>
      : (tensor<1x4xf32>) -> (tensor<1x4xf32>, tensor<1x4xi32>)
  return %w, %i : tensor<1x4xf32>, tensor<1x4xi32>
}
