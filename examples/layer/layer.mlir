// One Mixture-of-Experts block: hidden 64, 8 experts of width 32, top-2.
func.func @layer(%x: tensor<?x64xf32>, %gate: tensor<8x64xf32>,
                 %gate_up: tensor<8x64x64xf32>, %down: tensor<8x64x32xf32>)
    -> tensor<?x64xf32> {
  %y = moe.layer %x router(%gate) experts(%gate_up, %down)
      #moe.router<top_k = 2, renormalize = l1> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
