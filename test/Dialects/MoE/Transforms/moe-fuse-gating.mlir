// RUN: moe-opt %s --moe-fuse-gating | FileCheck %s

// CHECK-LABEL: @fused(
// CHECK-NEXT:    %[[R:.*]]:3 = moe.route %{{.*}}, %{{.*}} <top_k = 2> experts(8)
// CHECK-NEXT:    moe.record %[[R]]#0, %[[R]]#1
// CHECK-NEXT:    return %[[R]]#0, %[[R]]#2
func.func @fused(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) -> (tensor<?x2xf32>, !moe.plan<8, 2>) {
  %l = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  %w, %i = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  moe.record %w, %i {index = 0 : i64} : tensor<?x2xf32>, tensor<?x2xi32>
  %p = moe.dispatch %i experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return %w, %p : tensor<?x2xf32>, !moe.plan<8, 2>
}

// CHECK-LABEL: @logits_used_elsewhere(
// CHECK-NOT:     moe.route{{ }}
func.func @logits_used_elsewhere(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) -> (tensor<?x8xf32>, !moe.plan<8, 2>) {
  %l = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  %w, %i = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %p = moe.dispatch %i experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return %l, %p : tensor<?x8xf32>, !moe.plan<8, 2>
}

// CHECK-LABEL: @rounded_logits(
// CHECK-NOT:     moe.route{{ }}
func.func @rounded_logits(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) -> !moe.plan<8, 2> {
  %l = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xbf16>
  %w, %i = moe.router %l <top_k = 2> : (tensor<?x8xbf16>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %p = moe.dispatch %i experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return %p : !moe.plan<8, 2>
}

// CHECK-LABEL: @capacity(
// CHECK-NOT:     moe.route{{ }}
func.func @capacity(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) -> !moe.plan<8, 2> {
  %l = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  %w, %i = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %p = moe.dispatch %i experts(8) {capacity = 4 : i64, overflow = #moe.overflow<position>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return %p : !moe.plan<8, 2>
}

// A dispatch that provides for more experts than the router chooses from.
// CHECK-LABEL: @more_experts(
// CHECK-NOT:     moe.route{{ }}
func.func @more_experts(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) -> !moe.plan<16, 2> {
  %l = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
  %w, %i = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %p = moe.dispatch %i experts(16) : (tensor<?x2xi32>) -> !moe.plan<16, 2>
  return %p : !moe.plan<16, 2>
}
