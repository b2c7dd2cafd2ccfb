// The examples of docs/dialects/LM.md (see test/Docs/examples.test).
// RUN: moe-opt %s -o /dev/null

func.func @activate(%x: tensor<?x64xf32>) {
  %y = lm.activate %x <silu> : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

func.func @add(%a: tensor<?x64xf32>, %b: tensor<?x64xf32>) {
  %y = lm.add %a, %b : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

func.func @append(%k: tensor<?x32xf32>, %v: tensor<?x32xf32>, %kv: !lm.state<2x16xf32>, %position: index) {
  lm.append %k, %v state(%kv) at %position : tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16xf32>
  return
}

func.func @attention(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %v: tensor<?x32xf32>, %kv: !lm.state<2x16xf32>, %position: index) {
  %o = lm.attention %q append(%k, %v) state(%kv) at %position {heads = 4 : i64, scale = 0.25 : f64}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16xf32>, index) -> tensor<?x64xf32>
  return
}

func.func @embedding(%tokens: tensor<?xi32>, %table: tensor<128x64xf32>) {
  %x = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<128x64xf32>) -> tensor<?x64xf32>
  return
}

func.func @gated(%gu: tensor<?x64xf32>) {
  %h = lm.gated %gu <silu> : (tensor<?x64xf32>) -> tensor<?x32xf32>
  return
}

func.func @gated_linear(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>) {
  %h = lm.gated_linear %x, %w <silu> : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x48xf32>
  return
}

func.func @last_rows(%x: tensor<?x64xf32>, %rows: index) {
  %y = lm.last_rows %x, %rows : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  return
}

func.func @layer_norm(%x: tensor<?x64xf32>, %w: tensor<64xf32>, %b: tensor<64xf32>) {
  %y = lm.layer_norm %x, %w bias(%b) {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

func.func @layer_state() {
  %kv = lm.layer_state 3 : !lm.state<2x16xf32>
  return
}

func.func @linear(%x: tensor<?x64xf32>, %w: tensor<8x64xf32>, %b: tensor<8xf32>) {
  %y = lm.linear %x, %w bias(%b) : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return
}

func.func @rms_norm(%x: tensor<?x64xf32>, %w: tensor<64xf32>) {
  %y = lm.rms_norm %x, %w {eps = 1.0e-05 : f64} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

func.func @rope(%q: tensor<?x64xf32>, %cs: tensor<?x16xf32>) {
  %r = lm.rope %q, %cs {heads = 4 : i64} : (tensor<?x64xf32>, tensor<?x16xf32>) -> tensor<?x64xf32>
  return
}

func.func @rope_table(%inv_freq: tensor<8xf32>, %position: index, %tokens: tensor<?xi32>) {
  %cs = lm.rope_table %inv_freq at %position tokens(%tokens) : (tensor<8xf32>, index, tensor<?xi32>) -> tensor<?x16xf32>
  return
}

func.func @scaled_add(%acc: tensor<?x64xf32>, %y: tensor<?x64xf32>, %s: tensor<?x1xf32>) {
  %r = lm.scaled_add %acc, %y, %s <sigmoid> : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x1xf32>) -> tensor<?x64xf32>
  return
}

func.func @weight() {
  %w = lm.weight @layers.0.router : tensor<64x2048xbf16>
  return
}

lm.weights @layers.0.router : tensor<64x2048xbf16>
