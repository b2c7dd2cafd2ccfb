// The example of examples/layer through the phases.
// RUN: moe-opt %s --phase-moe | FileCheck %s --check-prefix=MOE
// RUN: moe-opt %s --phase-moe --phase-fused | FileCheck %s --check-prefix=FUSED
// RUN: moe-opt %s --phase-moe --phase-fused --phase-buffers | FileCheck %s --check-prefix=BUFFERS --implicit-check-not=memref.alloc --implicit-check-not=memref.copy --implicit-check-not=tensor
// RUN: moe-opt %s --phase-moe --phase-fused --phase-buffers --phase-tiled | FileCheck %s --check-prefix=TILED
// RUN: moe-opt %s --phase-moe --phase-fused --phase-buffers --phase-tiled --phase-vector | FileCheck %s --check-prefix=VECTOR
// RUN: moe-opt %s --phase-moe --phase-fused --phase-buffers --phase-tiled --phase-vector --phase-llvm | FileCheck %s --check-prefix=LLVM

// MOE-COUNT-1: moe.router
// MOE-COUNT-1: moe.dispatch
// MOE-COUNT-2: moe.grouped_matmul
// MOE-COUNT-1: moe.combine

// FUSED:      moe.route
// FUSED-NEXT: moe.expert_ffn
// FUSED-NEXT: moe.combine
// FUSED-NEXT: return

// BUFFERS: lm.arena = {fixed = {{[0-9]+}} : i64, per_thread = {{[0-9]+}} : i64, per_token = {{[0-9]+}} : i64}
// BUFFERS: memref.view {{.*}} {lm.scratch}
// BUFFERS: moe.route {{.*}} outs(
// BUFFERS: moe.dispatch {{.*}} outs(
// BUFFERS: moe.grouped_matmul gather {{.*}} outs(
// BUFFERS: moe.grouped_matmul {{.*}} outs(
// BUFFERS: moe.combine {{.*}} outs(

// TILED-COUNT-5: scf.forall
// TILED: func.func private @kernel_route_0
// TILED: func.func private @kernel_dispatch_1
// TILED: func.func private @kernel_grouped_matmul_2
// TILED: func.func private @kernel_grouped_matmul_3
// TILED: func.func private @kernel_combine_4

// VECTOR-NOT: moe.
// VECTOR: func.func @layer
// VECTOR-NOT: moe.
// VECTOR: vector.store

// LLVM: llvm.func @layer
// LLVM-COUNT-1: omp.parallel
// LLVM-COUNT-5: omp.wsloop
// LLVM-NOT: omp.parallel
func.func @layer(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>) -> tensor<?x64xf32> {
  %y = moe.layer %x router(%g) experts(%gu, %dn) <top_k = 2, renormalize = l1> <silu>
      : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
