// Every moe op in value form: pretty and generic form, to and fro.
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s

// CHECK-LABEL: @layer
func.func @layer(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %b: tensor<8xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>,
                 %sgu: tensor<96x64xf32>, %sdn: tensor<64x48xf32>, %sg: tensor<1x64xf32>) {
  // CHECK: moe.layer %[[X:.*]] router(%[[G:.*]]) experts(%[[GU:.*]], %[[DN:.*]]) <top_k = 2, renormalize = l1> <silu> : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2, renormalize = l1> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  // CHECK: moe.layer %[[X]] router(%[[G]] bias %{{.*}}) experts(%[[GU]], %[[DN]]) shared(%{{.*}}, %{{.*}} gate %{{.*}}) residual(%[[X]]) <score = sigmoid, select = biased_score, top_k = 2> <gelu> {record = 3 : i64} :
  %1 = moe.layer %x router(%g bias %b) experts(%gu, %dn) shared(%sgu, %sdn gate %sg) residual(%x)
      <score = sigmoid, select = biased_score, top_k = 2> <gelu> {record = 3 : i64}
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, tensor<96x64xf32>, tensor<64x48xf32>, tensor<1x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  // CHECK: moe.layer {{.*}} shared(%{{.*}}, %{{.*}}) <top_k = 2> <silu> :
  %2 = moe.layer %x router(%g) experts(%gu, %dn) shared(%sgu, %sdn) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, tensor<96x64xf32>, tensor<64x48xf32>) -> tensor<?x64xf32>
  return
}

// CHECK-LABEL: @routing
func.func @routing(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %b: tensor<8xf32>, %l: tensor<?x8xf32>, %static: tensor<?x2xi32>) {
  // CHECK: %[[R:.*]]:2 = moe.router %{{.*}} <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %w, %i = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  // CHECK: moe.router %{{.*}} bias(%{{.*}}) <score = sigmoid, select = biased_score, top_k = 2> : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %0:2 = moe.router %l bias(%b) <score = sigmoid, select = biased_score, top_k = 2> : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  // CHECK: moe.router %{{.*}} static_ids(%{{.*}}) <top_k = 2> : (tensor<?x8xf32>, tensor<?x2xi32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %1:2 = moe.router %l static_ids(%static) <top_k = 2> : (tensor<?x8xf32>, tensor<?x2xi32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  // CHECK: moe.dispatch %[[R]]#1 experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  %2 = moe.dispatch %i experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  // CHECK: moe.dispatch %[[R]]#1 experts(8) {capacity = 64 : i64, overflow = #moe.overflow<position>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  %3 = moe.dispatch %i experts(8) {capacity = 64 : i64, overflow = #moe.overflow<position>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  // CHECK: moe.dispatch %[[R]]#1 weights(%[[R]]#0) experts(8) {capacity_factor = 1.250000e+00 : f64, min_capacity = 4 : i64, overflow = #moe.overflow<probability>} : (tensor<?x2xi32>, tensor<?x2xf32>) -> !moe.plan<8, 2>
  %4 = moe.dispatch %i weights(%w) experts(8) {capacity_factor = 1.25 : f64, min_capacity = 4 : i64, overflow = #moe.overflow<probability>} : (tensor<?x2xi32>, tensor<?x2xf32>) -> !moe.plan<8, 2>
  // CHECK: moe.dispatch %[[R]]#1 experts(8) {capacity = 64 : i64, overflow = #moe.overflow<slot_major>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  %5 = moe.dispatch %i experts(8) {capacity = 64 : i64, overflow = #moe.overflow<slot_major>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  // CHECK: moe.route %{{.*}}, %{{.*}} <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 2>)
  %6:3 = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 2>)
  // CHECK: moe.route %{{.*}}, %{{.*}} bias(%{{.*}}) <select = biased_score, top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %7:2 = moe.route %x, %g bias(%b) <select = biased_score, top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  // CHECK: moe.record %[[R]]#0, %[[R]]#1 {index = 0 : i64} : tensor<?x2xf32>, tensor<?x2xi32>
  moe.record %w, %i {index = 0 : i64} : tensor<?x2xf32>, tensor<?x2xi32>
  return
}

// CHECK-LABEL: @experts
func.func @experts(%x: tensor<?x64xf32>, %plan: !moe.plan<8, 2>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>,
                   %b: tensor<8x64xf32>, %w: tensor<?x2xf32>, %i: tensor<?x2xi32>, %v: tensor<64xf32>) {
  // CHECK: %[[H:.*]] = moe.grouped_matmul gather %{{.*}}, %{{.*}} by %{{.*}} bias(%{{.*}}) row_scale(%{{.*}}) epilogue <silu> : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>, tensor<8x64xf32>, tensor<?x2xf32>) -> tensor<?x32xf32>
  %h = moe.grouped_matmul gather %x, %gu by %plan bias(%b) row_scale(%w) epilogue <silu>
      : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>, tensor<8x64xf32>, tensor<?x2xf32>) -> tensor<?x32xf32>
  // CHECK: %[[Y:.*]] = moe.grouped_matmul %[[H]], %{{.*}} by %{{.*}} : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  %y = moe.grouped_matmul %h, %dn by %plan : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  // CHECK: moe.grouped_matmul %[[H]], %{{.*}} by %{{.*}} : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32> {
  // CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32):
  // CHECK-NEXT:   moe.yield %[[ACC]] : f32
  %0 = moe.grouped_matmul %h, %dn by %plan : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  // CHECK: moe.grouped_matmul gather %{{.*}} {paired} :
  %1 = moe.grouped_matmul gather %x, %gu by %plan {paired} : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32> {
  ^bb0(%g: f32, %u: f32):
    %p = arith.mulf %g, %u : f32
    moe.yield %p : f32
  }
  // CHECK: moe.expert_ffn %{{.*}}, %{{.*}}, %{{.*}} by %{{.*}} <silu> : (tensor<?x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  %2 = moe.expert_ffn %x, %gu, %dn by %plan <silu> : (tensor<?x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  // CHECK: moe.combine %[[Y]], %{{.*}} by %{{.*}} : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xbf16>
  %3 = moe.combine %y, %w by %plan : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xbf16>
  // CHECK: moe.combine %[[Y]], %{{.*}} by %{{.*}} residual(%{{.*}}) bias(%{{.*}}) identity(%{{.*}}, %{{.*}}) {identity_from = 6 : i64} :
  %4 = moe.combine %y, %w by %plan residual(%x) bias(%v) identity(%x, %i) {identity_from = 6 : i64}
      : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, tensor<?x64xf32>, tensor<64xf32>, tensor<?x64xf32>, tensor<?x2xi32>) -> tensor<?x64xf32>
  return
}

// CHECK-LABEL: @losses
func.func @losses(%p: tensor<?x8xf32>, %w: tensor<?x2xf32>, %i: tensor<?x2xi32>, %m: tensor<8x64x64xbf16>) {
  // CHECK: moe.load_balance_loss %{{.*}}, %{{.*}} {weight = 1.000000e-02 : f64} : (tensor<?x8xf32>, tensor<?x2xi32>) -> tensor<f32>
  %0 = moe.load_balance_loss %p, %i {weight = 0.01 : f64} : (tensor<?x8xf32>, tensor<?x2xi32>) -> tensor<f32>
  // CHECK: moe.z_loss %{{.*}} : (tensor<?x8xf32>) -> tensor<f64>
  %1 = moe.z_loss %p : (tensor<?x8xf32>) -> tensor<f64>
  // CHECK: moe.importance_loss %{{.*}}, %{{.*}} experts(8) : (tensor<?x2xf32>, tensor<?x2xi32>) -> tensor<f32>
  %2 = moe.importance_loss %w, %i experts(8) : (tensor<?x2xf32>, tensor<?x2xi32>) -> tensor<f32>
  // CHECK: moe.pack %{{.*}} : tensor<8x64x64xbf16> -> !lm.packed<8x64x64xbf16, paired_panel>
  %3 = moe.pack %m : tensor<8x64x64xbf16> -> !lm.packed<8x64x64xbf16, paired_panel>
  return
}
