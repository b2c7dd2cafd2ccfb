// RUN: moe-interpret %s --function=block --arg=random:1:3x4 --weights=random:7 | FileCheck %s
// RUN: moe-interpret %s --function=block --arg=random:1:1x4 --weights=random:7 | FileCheck %s --check-prefix=ONE
// RUN: moe-interpret %s --function=block --arg=random:1:0x4 --weights=random:7 | FileCheck %s --check-prefix=NONE

// CHECK: result 0: 3x4xf32
// CHECK-COUNT-3: {{^[-0-9.]+ [-0-9.]+ [-0-9.]+ [-0-9.]+$}}
// ONE: result 0: 1x4xf32
// NONE: result 0: 0x4xf32

lm.weights @gate : tensor<5x4xf32>
lm.weights @up : tensor<5x6x4xf32>
lm.weights @down : tensor<5x4x3xf32>

func.func @block(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %g = lm.weight @gate : tensor<5x4xf32>
  %u = lm.weight @up : tensor<5x6x4xf32>
  %d = lm.weight @down : tensor<5x4x3xf32>
  %y = moe.layer %x router(%g) experts(%u, %d) residual(%x) #moe.router<top_k = 3, renormalize = l1> <silu>
      : (tensor<?x4xf32>, tensor<5x4xf32>, tensor<5x6x4xf32>, tensor<5x4x3xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
