// Every moe op in buffer form: a plan is four buffers.
// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | FileCheck %s

// CHECK-LABEL: @routing
func.func @routing(%x: memref<?x64xf32>, %g: memref<1x2x64x16xf32>, %l: memref<?x8xf32>, %b: memref<8xf32>,
                   %w: memref<?x2xf32>, %i: memref<?x2xi32>, %n: memref<9xi32>, %r: memref<?xi32>,
                   %all: memref<?xi32>, %allw: memref<?xf32>, %at: index) {
  // CHECK: moe.router %{{.*}} bias(%{{.*}}) <select = biased_score, top_k = 2> outs(%[[W:.*]], %[[I:.*]]) : (memref<?x8xf32>, memref<8xf32>, memref<?x2xf32>, memref<?x2xi32>) -> ()
  moe.router %l bias(%b) <select = biased_score, top_k = 2> outs(%w, %i) : (memref<?x8xf32>, memref<8xf32>, memref<?x2xf32>, memref<?x2xi32>) -> ()
  // CHECK: moe.dispatch %[[I]] experts(8) outs(%[[N:.*]], %[[N]], %[[R:.*]], %[[R]]) : (memref<?x2xi32>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>) -> ()
  moe.dispatch %i experts(8) outs(%n, %n, %r, %r) : (memref<?x2xi32>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>) -> ()
  // CHECK: moe.route %{{.*}}, %{{.*}} <top_k = 2> experts(8) outs(%[[W]], %[[I]]) : (memref<?x64xf32>, memref<1x2x64x16xf32>, memref<?x2xf32>, memref<?x2xi32>) -> ()
  moe.route %x, %g <top_k = 2> experts(8) outs(%w, %i) : (memref<?x64xf32>, memref<1x2x64x16xf32>, memref<?x2xf32>, memref<?x2xi32>) -> ()
  // CHECK: moe.route %{{.*}}, %{{.*}} <top_k = 2> experts(8) outs(%[[W]], %[[I]], %[[N]], %[[N]], %[[R]], %[[R]]) :
  moe.route %x, %g <top_k = 2> experts(8) outs(%w, %i, %n, %n, %r, %r)
      : (memref<?x64xf32>, memref<1x2x64x16xf32>, memref<?x2xf32>, memref<?x2xi32>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>) -> ()
  // CHECK: moe.record %[[W]], %[[I]] outs(%{{.*}}, %{{.*}} : memref<?xi32>, memref<?xf32>) extent(%{{.*}}) {index = 0 : i64} : memref<?x2xf32>, memref<?x2xi32>
  moe.record %w, %i outs(%all, %allw : memref<?xi32>, memref<?xf32>) extent(%at) {index = 0 : i64} : memref<?x2xf32>, memref<?x2xi32>
  return
}

// CHECK-LABEL: @experts
func.func @experts(%x: memref<?x64xf32>, %gu: memref<8x4x64x16xf32>, %dn: memref<8x4x32x16xf32>, %h: memref<?x32xf32>,
                   %y: memref<?x64xf32>, %w: memref<?x2xf32>, %n: memref<9xi32>, %r: memref<?xi32>) {
  // CHECK: moe.grouped_matmul gather %{{.*}}, %{{.*}} by %[[N:.*]], %[[N]], %[[R:.*]], %[[R]] epilogue <silu> outs(%[[H:.*]]) :
  moe.grouped_matmul gather %x, %gu by %n, %n, %r, %r epilogue <silu> outs(%h)
      : (memref<?x64xf32>, memref<8x4x64x16xf32>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>, memref<?x32xf32>) -> ()
  // CHECK: moe.grouped_matmul %[[H]], %{{.*}} by %[[N]], %[[N]], %[[R]], %[[R]] outs(%[[Y:.*]]) : {{.*}} -> () {
  moe.grouped_matmul %h, %dn by %n, %n, %r, %r outs(%y)
      : (memref<?x32xf32>, memref<8x4x32x16xf32>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>) -> () {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  // CHECK: moe.expert_ffn %{{.*}}, %{{.*}}, %{{.*}} by %[[N]], %[[N]], %[[R]], %[[R]] <silu> outs(%[[Y]]) :
  moe.expert_ffn %x, %gu, %dn by %n, %n, %r, %r <silu> outs(%y)
      : (memref<?x64xf32>, memref<8x4x64x16xf32>, memref<8x4x32x16xf32>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>) -> ()
  // CHECK: moe.combine %[[Y]], %{{.*}} by %[[N]], %[[N]], %[[R]], %[[R]] residual(%{{.*}}) outs(%{{.*}}) :
  moe.combine %y, %w by %n, %n, %r, %r residual(%x) outs(%x)
      : (memref<?x64xf32>, memref<?x2xf32>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}

// CHECK-LABEL: @losses
func.func @losses(%p: memref<?x8xf32>, %w: memref<?x2xf32>, %i: memref<?x2xi32>, %l: memref<f32>, %m: memref<f64>) {
  // CHECK: moe.load_balance_loss %[[P:.*]], %[[I:.*]] outs(%[[L:.*]]) {weight = 1.000000e-02 : f64} : (memref<?x8xf32>, memref<?x2xi32>, memref<f32>) -> ()
  moe.load_balance_loss %p, %i outs(%l) {weight = 0.01 : f64} : (memref<?x8xf32>, memref<?x2xi32>, memref<f32>) -> ()
  // CHECK: moe.z_loss %[[P]] outs(%{{.*}}) : (memref<?x8xf32>, memref<f64>) -> ()
  moe.z_loss %p outs(%m) : (memref<?x8xf32>, memref<f64>) -> ()
  // CHECK: moe.importance_loss %{{.*}}, %[[I]] experts(8) outs(%[[L]]) : (memref<?x2xf32>, memref<?x2xi32>, memref<f32>) -> ()
  moe.importance_loss %w, %i experts(8) outs(%l) : (memref<?x2xf32>, memref<?x2xi32>, memref<f32>) -> ()
  return
}
