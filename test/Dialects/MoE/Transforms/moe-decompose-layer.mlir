// RUN: moe-opt %s --moe-decompose-layer | FileCheck %s

// CHECK-LABEL: @plain(
// CHECK-SAME:    %[[X:.*]]: tensor<?x64xf32>, %[[G:.*]]: tensor<8x64xf32>, %[[GU:.*]]: tensor<8x64x64xf32>, %[[DN:.*]]: tensor<8x64x32xf32>
// CHECK-NEXT:    %[[L:.*]] = lm.linear %[[X]], %[[G]] : {{.*}} -> tensor<?x8xf32>
// CHECK-NEXT:    %[[R:.*]]:2 = moe.router %[[L]] <top_k = 2>
// CHECK-NEXT:    %[[P:.*]] = moe.dispatch %[[R]]#1 experts(8) : {{.*}} -> !moe.plan<8, 2>
// CHECK-NEXT:    %[[H:.*]] = moe.grouped_matmul gather %[[X]], %[[GU]] by %[[P]] epilogue <silu> : {{.*}} -> tensor<?x32xf32>
// CHECK-NEXT:    %[[Y:.*]] = moe.grouped_matmul %[[H]], %[[DN]] by %[[P]] : {{.*}} -> tensor<?x64xf32>
// CHECK-NEXT:    %[[C:.*]] = moe.combine %[[Y]], %[[R]]#0 by %[[P]] :
// CHECK-NEXT:    return %[[C]]
func.func @plain(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) -> tensor<?x64xf32> {
  %0 = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// In bf16: logits, expert outputs and sums are f32, only the hidden rows round.
// CHECK-LABEL: @gated_shared(
// CHECK:         lm.linear {{.*}} -> tensor<?x8xf32>
// CHECK:         %[[R:.*]]:2 = moe.router
// CHECK-NEXT:    moe.record %[[R]]#0, %[[R]]#1 {index = 3 : i64}
// CHECK:         moe.grouped_matmul gather {{.*}} -> tensor<?x32xbf16>
// CHECK:         moe.grouped_matmul {{.*}} -> tensor<?x64xf32>
// CHECK:         %[[C:.*]] = moe.combine {{.*}} residual(%{{.*}}) : {{.*}} -> tensor<?x64xf32>
// CHECK-NEXT:    %[[PAIR:.*]] = lm.linear {{.*}} -> tensor<?x96xf32>
// CHECK-NEXT:    %[[HIDDEN:.*]] = lm.gated %[[PAIR]] <silu> : {{.*}} -> tensor<?x48xbf16>
// CHECK-NEXT:    %[[SHARED:.*]] = lm.linear %[[HIDDEN]], {{.*}} -> tensor<?x64xf32>
// CHECK-NEXT:    %[[SCALE:.*]] = lm.linear {{.*}} -> tensor<?x1xf32>
// CHECK-NEXT:    lm.scaled_add %[[C]], %[[SHARED]], %[[SCALE]] <sigmoid> : {{.*}} -> tensor<?x64xbf16>
func.func @gated_shared(%x: tensor<?x64xbf16>, %g: tensor<8x64xbf16>, %gu: tensor<8x64x64xbf16>, %dn: tensor<8x64x32xbf16>,
                        %sgu: tensor<96x64xbf16>, %sdn: tensor<64x48xbf16>, %sg: tensor<1x64xbf16>) -> tensor<?x64xbf16> {
  %0 = moe.layer %x router(%g) experts(%gu, %dn) shared(%sgu, %sdn gate %sg) residual(%x) <top_k = 2> <silu> {record = 3 : i64}
      : (tensor<?x64xbf16>, tensor<8x64xbf16>, tensor<8x64x64xbf16>, tensor<8x64x32xbf16>, tensor<96x64xbf16>, tensor<64x48xbf16>, tensor<1x64xbf16>, tensor<?x64xbf16>) -> tensor<?x64xbf16>
  return %0 : tensor<?x64xbf16>
}

// CHECK-LABEL: @shared(
// CHECK:         %[[C:.*]] = moe.combine
// CHECK:         lm.add %[[C]], %{{.*}} :
func.func @shared(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>,
                  %sgu: tensor<96x64xf32>, %sdn: tensor<64x48xf32>) -> tensor<?x64xf32> {
  %0 = moe.layer %x router(%g) experts(%gu, %dn) shared(%sgu, %sdn) <top_k = 2> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, tensor<96x64xf32>, tensor<64x48xf32>) -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}
