// RUN: moe-opt %s --moe-split-phases | FileCheck %s

// CHECK-LABEL: @route(
// CHECK-NEXT:    %[[R:.*]]:2 = moe.route %{{.*}}, %{{.*}} <top_k = 2> experts(8)
// CHECK-NEXT:    %[[P:.*]] = moe.dispatch %[[R]]#1 experts(8)
// CHECK-NEXT:    return %[[R]]#0, %[[P]]
func.func @route(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) -> (tensor<?x2xf32>, !moe.plan<8, 2>) {
  %0:3 = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 2>)
  return %0#0, %0#2 : tensor<?x2xf32>, !moe.plan<8, 2>
}

// The hidden rows round to x's element type.
// CHECK-LABEL: @experts(
// CHECK-NEXT:    %[[H:.*]] = moe.grouped_matmul gather {{.*}} epilogue <silu> : {{.*}} -> tensor<?x32xbf16>
// CHECK-NEXT:    %[[Y:.*]] = moe.grouped_matmul %[[H]], {{.*}} -> tensor<?x64xf32>
// CHECK-NEXT:    return %[[Y]]
func.func @experts(%x: tensor<?x64xbf16>, %gu: tensor<8x64x64xbf16>, %dn: tensor<8x64x32xbf16>, %p: !moe.plan<8, 2>) -> tensor<?x64xf32> {
  %y = moe.expert_ffn %x, %gu, %dn by %p <silu> : (tensor<?x64xbf16>, tensor<8x64x64xbf16>, tensor<8x64x32xbf16>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @attention(
// CHECK-NEXT:    lm.append %[[K:.*]], %[[K]] state(%[[S:.*]]) at %[[AT:.*]] :
// CHECK-NEXT:    lm.attention %{{.*}} state(%[[S]]) at %[[AT]] {heads = 4 : i64, scale = 2.500000e-01 : f64, window = 16 : i64}
func.func @attention(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %kv: !lm.state<2x16xf32>, %p: index) -> tensor<?x64xf32> {
  %o = lm.attention %q append(%k, %k) state(%kv) at %p {heads = 4 : i64, scale = 0.25 : f64, window = 16 : i64}
      : (tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !lm.state<2x16xf32>, index) -> tensor<?x64xf32>
  return %o : tensor<?x64xf32>
}
