// RUN: moe-opt %s --moe-fuse-combine | FileCheck %s

// CHECK-LABEL: @fused(
// CHECK-SAME:    %[[Y:.*]]: tensor<?x64xf32>, %[[W:.*]]: tensor<?x2xf32>, %[[P:.*]]: !moe.plan<8, 2>, %[[X:.*]]: tensor<?x64xbf16>
// CHECK-NEXT:    moe.combine %[[Y]], %[[W]] by %[[P]] residual(%[[X]]) : {{.*}} -> tensor<?x64xbf16>
// CHECK-NEXT:    return
func.func @fused(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %p: !moe.plan<8, 2>, %x: tensor<?x64xbf16>) -> tensor<?x64xbf16> {
  %c = moe.combine %y, %w by %p : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  %r = lm.add %x, %c : (tensor<?x64xbf16>, tensor<?x64xf32>) -> tensor<?x64xbf16>
  return %r : tensor<?x64xbf16>
}

// Rounded twice, so it stays twice.
// CHECK-LABEL: @rounded_combine(
// CHECK:         lm.add
func.func @rounded_combine(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %p: !moe.plan<8, 2>, %x: tensor<?x64xbf16>) -> tensor<?x64xbf16> {
  %c = moe.combine %y, %w by %p : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xbf16>
  %r = lm.add %x, %c : (tensor<?x64xbf16>, tensor<?x64xbf16>) -> tensor<?x64xbf16>
  return %r : tensor<?x64xbf16>
}

// CHECK-LABEL: @combine_used_elsewhere(
// CHECK:         lm.add
func.func @combine_used_elsewhere(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %p: !moe.plan<8, 2>, %x: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %c = moe.combine %y, %w by %p : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  %r = lm.add %x, %c : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %c, %r : tensor<?x64xf32>, tensor<?x64xf32>
}
