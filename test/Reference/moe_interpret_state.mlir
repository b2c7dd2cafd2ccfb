// Two calls, the cache written by the first and read by the second, give what
// one call over both chunks gives.
// RUN: rm -rf %t && mkdir %t
// RUN: moe-interpret %s --function=attend --arg=random:1 --arg=0 --out=%t/a
// RUN: moe-interpret %s --function=both --arg=random:1 > %t/both
// RUN: moe-interpret %s --function=attend --arg=random:1 --arg=2 --state=%t/astate0.npy > %t/second
// RUN: tail -n 2 %t/both > %t/end && tail -n 2 %t/second > %t/again
// RUN: diff %t/end %t/again

func.func @attend(%x: tensor<2x4xf32>, %s: !lm.state<1x4xf32>, %p: index) -> tensor<2x4xf32> {
  %y = lm.attention %x append(%x, %x) state(%s) at %p {heads = 1 : i64, scale = 0.5 : f64}
      : (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, !lm.state<1x4xf32>, index) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

func.func @both(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %s = lm.layer_state 0 : !lm.state<1x4xf32>
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %a = func.call @attend(%x, %s, %c0) : (tensor<2x4xf32>, !lm.state<1x4xf32>, index) -> tensor<2x4xf32>
  %b = func.call @attend(%x, %s, %c2) : (tensor<2x4xf32>, !lm.state<1x4xf32>, index) -> tensor<2x4xf32>
  return %b : tensor<2x4xf32>
}
