// RUN: moe-opt %s --moe-fuse-experts | FileCheck %s

// CHECK-LABEL: @fused(
// CHECK-SAME:    %[[X:.*]]: tensor<?x64xbf16>, %[[GU:.*]]: tensor<8x64x64xbf16>, %[[DN:.*]]: tensor<8x64x32xbf16>, %[[P:.*]]: !moe.plan<8, 2>
// CHECK-NEXT:    moe.expert_ffn %[[X]], %[[GU]], %[[DN]] by %[[P]] <silu> : {{.*}} -> tensor<?x64xf32>
// CHECK-NEXT:    return
func.func @fused(%x: tensor<?x64xbf16>, %gu: tensor<8x64x64xbf16>, %dn: tensor<8x64x32xbf16>, %p: !moe.plan<8, 2>) -> tensor<?x64xf32> {
  %h = moe.grouped_matmul gather %x, %gu by %p epilogue <silu> : (tensor<?x64xbf16>, tensor<8x64x64xbf16>, !moe.plan<8, 2>) -> tensor<?x32xbf16>
  %y = moe.grouped_matmul %h, %dn by %p : (tensor<?x32xbf16>, tensor<8x64x32xbf16>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// moe.expert_ffn would round the hidden rows to bf16.
// CHECK-LABEL: @wider_hidden(
// CHECK-NOT:     moe.expert_ffn
func.func @wider_hidden(%x: tensor<?x64xbf16>, %gu: tensor<8x64x64xbf16>, %dn: tensor<8x64x32xbf16>, %p: !moe.plan<8, 2>) -> tensor<?x64xf32> {
  %h = moe.grouped_matmul gather %x, %gu by %p epilogue <silu> : (tensor<?x64xbf16>, tensor<8x64x64xbf16>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  %y = moe.grouped_matmul %h, %dn by %p : (tensor<?x32xf32>, tensor<8x64x32xbf16>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @other_plan(
// CHECK-NOT:     moe.expert_ffn
func.func @other_plan(%x: tensor<?x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>, %p: !moe.plan<8, 2>, %q: !moe.plan<8, 2>) -> tensor<?x64xf32> {
  %h = moe.grouped_matmul gather %x, %gu by %p epilogue <silu> : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  %y = moe.grouped_matmul %h, %dn by %q : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
