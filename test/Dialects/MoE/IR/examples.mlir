// The examples of docs/dialects/MoE.md (see test/Docs/examples.test).
// RUN: moe-opt %s -o /dev/null

func.func @combine(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %plan: !moe.plan<8, 2>, %x: tensor<?x64xf32>) {
  %r = moe.combine %y, %w by %plan residual(%x)
      : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

func.func @dispatch(%ids: tensor<?x2xi32>) {
  %plan = moe.dispatch %ids experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return
}

func.func @expert_ffn(%x: tensor<?x64xf32>, %gu: tensor<8x64x64xf32>, %down: tensor<8x64x32xf32>, %plan: !moe.plan<8, 2>) {
  %y = moe.expert_ffn %x, %gu, %down by %plan <silu>
      : (tensor<?x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

func.func @grouped_matmul(%x: tensor<?x64xf32>, %gu: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>, %down: tensor<8x64x32xf32>) {
  %h = moe.grouped_matmul gather %x, %gu by %plan epilogue <silu>
      : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  %y = moe.grouped_matmul %h, %down by %plan
      : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

func.func @grouped_matmul_1(%x: tensor<?x64xf32>, %gu: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>) {
  %h = moe.grouped_matmul gather %x, %gu by %plan {paired}
      : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32> {
  ^bb0(%g: f32, %u: f32):
    %p = arith.mulf %g, %u : f32
    moe.yield %p : f32
  }
  return
}

func.func @importance_loss(%w: tensor<?x2xf32>, %ids: tensor<?x2xi32>) {
  %l = moe.importance_loss %w, %ids experts(8) {weight = 0.1 : f64} : (tensor<?x2xf32>, tensor<?x2xi32>) -> tensor<f32>
  return
}

func.func @layer(%x: tensor<?x64xf32>, %gate: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %down: tensor<8x64x32xf32>) {
  %y = moe.layer %x router(%gate) experts(%gu, %down) <top_k = 2, renormalize = l1> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

func.func @load_balance_loss(%p: tensor<?x8xf32>, %ids: tensor<?x2xi32>) {
  %l = moe.load_balance_loss %p, %ids {weight = 0.01 : f64} : (tensor<?x8xf32>, tensor<?x2xi32>) -> tensor<f32>
  return
}

func.func @pack(%w: tensor<8x64x64xbf16>) {
  %p = moe.pack %w : tensor<8x64x64xbf16> -> !lm.packed<8x64x64xbf16, paired_panel>
  return
}

func.func @record(%w: tensor<?x2xf32>, %ids: tensor<?x2xi32>) {
  moe.record %w, %ids {index = 0 : i64} : tensor<?x2xf32>, tensor<?x2xi32>
  return
}

func.func @route(%x: tensor<?x64xf32>, %gate: tensor<8x64xf32>) {
  %w, %ids, %plan = moe.route %x, %gate <top_k = 2> experts(8)
      : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 2>)
  return
}

func.func @router(%logits: tensor<?x8xf32>) {
  %w, %ids = moe.router %logits <top_k = 2>
      : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

func.func @z_loss(%logits: tensor<?x8xf32>) {
  %l = moe.z_loss %logits {weight = 0.001 : f64} : (tensor<?x8xf32>) -> tensor<f32>
  return
}
