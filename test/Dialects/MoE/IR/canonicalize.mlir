// RUN: moe-opt %s --canonicalize | FileCheck %s

// All groups win: how they are ranked and masked does nothing.
// CHECK-LABEL: @idle_groups(
// CHECK:         moe.router %{{.*}} <top_k = 2> :
// CHECK:         moe.route %{{.*}}, %{{.*}} <top_k = 2> experts(8) :
func.func @idle_groups(%l: tensor<?x8xf32>, %x: tensor<?x64xf32>, %g: tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %0:2 = moe.router %l <top_k = 2, groups = 4, top_groups = 4, group_score = top2_sum, masked = zero> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %1:2 = moe.route %x, %g <top_k = 2, masked = zero> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return %0#0, %1#0 : tensor<?x2xf32>, tensor<?x2xf32>
}

// CHECK-LABEL: @losing_groups(
// CHECK:         moe.router %{{.*}} <top_k = 2, groups = 4, top_groups = 2> :
func.func @losing_groups(%l: tensor<?x8xf32>) -> tensor<?x2xf32> {
  %0:2 = moe.router %l <top_k = 2, groups = 4, top_groups = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return %0#0 : tensor<?x2xf32>
}

// Weights of static ids come from scores; nothing is chosen.
// CHECK-LABEL: @static_ids(
// CHECK:         moe.router %arg0 static_ids(%arg1) <score = sigmoid, top_k = 2> : (tensor<?x8xf32>, tensor<?x2xi32>)
func.func @static_ids(%l: tensor<?x8xf32>, %ids: tensor<?x2xi32>, %b: tensor<8xf32>) -> tensor<?x2xf32> {
  %0:2 = moe.router %l bias(%b) static_ids(%ids) <score = sigmoid, select = biased_score, top_k = 2, groups = 4, top_groups = 2>
      : (tensor<?x8xf32>, tensor<8xf32>, tensor<?x2xi32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return %0#0 : tensor<?x2xf32>
}

// The order of ids is the order in which combine sums: all experts, but sorted.
// CHECK-LABEL: @all_experts(
// CHECK:         moe.router %{{.*}} <top_k = 8>
func.func @all_experts(%l: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xi32>) {
  %0:2 = moe.router %l <top_k = 8> : (tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xi32>)
  return %0#0, %0#1 : tensor<?x8xf32>, tensor<?x8xi32>
}

// 16 tokens choose an expert at most once each.
// CHECK-LABEL: @idle_capacity(
// CHECK:         moe.dispatch %{{.*}}#1 experts(8) : (tensor<16x2xi32>)
func.func @idle_capacity(%l: tensor<16x8xf32>) -> !moe.plan<8, 2> {
  %w, %i = moe.router %l <top_k = 2> : (tensor<16x8xf32>) -> (tensor<16x2xf32>, tensor<16x2xi32>)
  %p = moe.dispatch %i weights(%w) experts(8) {capacity_factor = 4.0 : f64, overflow = #moe.overflow<probability>} : (tensor<16x2xi32>, tensor<16x2xf32>) -> !moe.plan<8, 2>
  return %p : !moe.plan<8, 2>
}

// Ids of unknown origin may name an expert in both slots.
// CHECK-LABEL: @capacity(
// CHECK:         moe.dispatch %{{.*}} experts(8) {capacity = 31 : i64, overflow = #moe.overflow<position>}
// CHECK:         moe.dispatch %{{.*}} experts(8) {capacity = 1000 : i64, overflow = #moe.overflow<position>}
func.func @capacity(%i: tensor<16x2xi32>, %j: tensor<?x2xi32>) -> (!moe.plan<8, 2>, !moe.plan<8, 2>) {
  %p = moe.dispatch %i experts(8) {capacity = 31 : i64, overflow = #moe.overflow<position>} : (tensor<16x2xi32>) -> !moe.plan<8, 2>
  %q = moe.dispatch %j experts(8) {capacity = 1000 : i64, overflow = #moe.overflow<position>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return %p, %q : !moe.plan<8, 2>, !moe.plan<8, 2>
}

// CHECK-LABEL: @unused_weights(
// CHECK:         moe.dispatch %{{.*}} experts(8) : (tensor<?x2xi32>)
func.func @unused_weights(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> !moe.plan<8, 2> {
  %p = moe.dispatch %i weights(%w) experts(8) : (tensor<?x2xi32>, tensor<?x2xf32>) -> !moe.plan<8, 2>
  return %p : !moe.plan<8, 2>
}

// CHECK-LABEL: @unused_plan(
// CHECK:         moe.route {{.*}} -> (tensor<?x2xf32>, tensor<?x2xi32>)
func.func @unused_plan(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) -> tensor<?x2xi32> {
  %0:3 = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 2>)
  return %0#1 : tensor<?x2xi32>
}

// No id reaches 8.
// CHECK-LABEL: @idle_identity(
// CHECK:         moe.combine %{{.*}}, %{{.*}} by %{{.*}} : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>)
func.func @idle_identity(%l: tensor<?x8xf32>, %x: tensor<?x64xf32>, %y: tensor<?x64xf32>, %p: !moe.plan<8, 2>) -> tensor<?x64xf32> {
  %w, %i = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %0 = moe.combine %y, %w by %p identity(%x, %i) {identity_from = 8 : i64} : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, tensor<?x64xf32>, tensor<?x2xi32>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// CHECK-LABEL: @identity(
// CHECK:         moe.combine {{.*}} identity({{.*}}) {identity_from = 8 : i64}
func.func @identity(%l: tensor<?x12xf32>, %x: tensor<?x64xf32>, %y: tensor<?x64xf32>, %p: !moe.plan<8, 2>) -> tensor<?x64xf32> {
  %w, %i = moe.router %l <top_k = 2> : (tensor<?x12xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  %0 = moe.combine %y, %w by %p identity(%x, %i) {identity_from = 8 : i64} : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, tensor<?x64xf32>, tensor<?x2xi32>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// CHECK-LABEL: @unused(
// CHECK-NEXT:    return
func.func @unused(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) {
  %w, %i, %p = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 2>)
  %y = moe.expert_ffn %x, %gu, %dn by %p <silu> : (tensor<?x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  %0 = moe.combine %y, %w by %p : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

// CHECK-LABEL: @recorded(
// CHECK-NEXT:    moe.route
// CHECK-NEXT:    moe.record
func.func @recorded(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) {
  %w, %i, %p = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 2>)
  moe.record %w, %i {index = 0 : i64} : tensor<?x2xf32>, tensor<?x2xi32>
  return
}
