// The examples of docs/passes.md (see test/Docs/examples.test).
// RUN: moe-opt %s -o /dev/null

func.func private @kernel_add_0(memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>, index, index, memref<?xi8>)

func.func @linear(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>) {
  %a = lm.linear %x, %w : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x96xf32>
  %h = lm.gated %a <silu> : (tensor<?x96xf32>) -> tensor<?x48xf32>
  return
}

func.func @gated_linear(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>) {
  %h = lm.gated_linear %x, %w <silu> : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x48xf32>
  return
}

func.func @layer(%x: tensor<?x64xf32>, %gate: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %down: tensor<8x64x32xf32>) {
  %y = moe.layer %x router(%gate) experts(%gu, %down) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return
}

func.func @linear_1(%x: tensor<?x64xf32>, %gate: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %down: tensor<8x64x32xf32>) {
  %l = lm.linear %x, %gate : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  %w, %ids = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %plan = moe.dispatch %ids experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  %h = moe.grouped_matmul gather %x, %gu by %plan epilogue <silu>
      : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  %e = moe.grouped_matmul %h, %down by %plan
      : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  %y = moe.combine %e, %w by %plan : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

func.func @combine(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %plan: !moe.plan<8, 2>, %x: tensor<?x64xf32>) {
  %c = moe.combine %y, %w by %plan : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  %r = lm.add %x, %c : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

func.func @combine_1(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %plan: !moe.plan<8, 2>, %x: tensor<?x64xf32>) {
  %r = moe.combine %y, %w by %plan residual(%x)
      : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

func.func @grouped_matmul(%x: tensor<?x64xf32>, %gu: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>, %down: tensor<8x64x32xf32>) {
  %h = moe.grouped_matmul gather %x, %gu by %plan epilogue <silu>
      : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  %y = moe.grouped_matmul %h, %down by %plan
      : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

func.func @expert_ffn(%x: tensor<?x64xf32>, %gu: tensor<8x64x64xf32>, %down: tensor<8x64x32xf32>, %plan: !moe.plan<8, 2>) {
  %y = moe.expert_ffn %x, %gu, %down by %plan <silu>
      : (tensor<?x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

func.func @linear_2(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) {
  %l = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  %w, %i = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %p = moe.dispatch %i experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return
}

func.func @route(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) {
  %w, %i, %p = moe.route %x, %g <top_k = 2> experts(8)
      : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 2>)
  return
}

func.func @add(%a: memref<?x64xf32>, %b: memref<?x64xf32>, %c: memref<?x64xf32>) {
  lm.add %a, %b outs(%c) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}

func.func @forall(%slots: index, %scratch: memref<?xi8>, %start: index, %size: index, %a: memref<?x64xf32>, %b: memref<?x64xf32>, %c: memref<?x64xf32>) {
  scf.forall (%slot) in (%slots) {
    %mine = memref.view %scratch[%start][%size] : memref<?xi8> to memref<?xi8>
    func.call @kernel_add_0(%a, %b, %c, %slot, %slots, %mine)
        : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>, index, index, memref<?xi8>) -> ()
  }
  return
}
