// RUN: moe-opt %s --lm-fuse-gated-linear | FileCheck %s

// CHECK-LABEL: @fused(
// CHECK-NEXT:    %[[H:.*]] = lm.gated_linear %{{.*}}, %{{.*}} <silu> : {{.*}} -> tensor<?x48xbf16>
// CHECK-NEXT:    return %[[H]]
func.func @fused(%x: tensor<?x64xbf16>, %w: tensor<96x64xbf16>) -> tensor<?x48xbf16> {
  %a = lm.linear %x, %w : (tensor<?x64xbf16>, tensor<96x64xbf16>) -> tensor<?x96xf32>
  %h = lm.gated %a <silu> : (tensor<?x96xf32>) -> tensor<?x48xbf16>
  return %h : tensor<?x48xbf16>
}

// CHECK-LABEL: @bias(
// CHECK-NOT:     lm.gated_linear
func.func @bias(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>, %b: tensor<96xf32>) -> tensor<?x48xf32> {
  %a = lm.linear %x, %w bias(%b) : (tensor<?x64xf32>, tensor<96x64xf32>, tensor<96xf32>) -> tensor<?x96xf32>
  %h = lm.gated %a <silu> : (tensor<?x96xf32>) -> tensor<?x48xf32>
  return %h : tensor<?x48xf32>
}

// CHECK-LABEL: @product_used_elsewhere(
// CHECK-NOT:     lm.gated_linear
func.func @product_used_elsewhere(%x: tensor<?x64xf32>, %w: tensor<96x64xf32>) -> (tensor<?x96xf32>, tensor<?x48xf32>) {
  %a = lm.linear %x, %w : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x96xf32>
  %h = lm.gated %a <silu> : (tensor<?x96xf32>) -> tensor<?x48xf32>
  return %a, %h : tensor<?x96xf32>, tensor<?x48xf32>
}
