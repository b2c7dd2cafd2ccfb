// RUN: moe-opt %s --split-input-file --verify-diagnostics

func.func @router_c1(%l: tensor<?x8xf32>) {
  // expected-error @below {{(router_c1) weights and ids must have top_k = 2 columns, got 'tensor<?x3xf32>'}}
  %0:2 = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x3xf32>, tensor<?x3xi32>)
  return
}

// -----

func.func @router_c2(%l: tensor<?x8xf32>) {
  // expected-error @below {{(router_c2) top_k (9) must be at most the number of experts (8)}}
  %0:2 = moe.router %l <top_k = 9> : (tensor<?x8xf32>) -> (tensor<?x9xf32>, tensor<?x9xi32>)
  return
}

// -----

func.func @router_c2_groups(%l: tensor<?x8xf32>) {
  // expected-error @below {{(router_c2) groups (3) must divide the number of experts (8)}}
  %0:2 = moe.router %l <top_k = 2, groups = 3> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @router_c2_pairs(%l: tensor<?x8xf32>) {
  // expected-error @below {{(router_c2) group_score = top2_sum needs groups of two experts or more}}
  %0:2 = moe.router %l <top_k = 2, groups = 8, group_score = top2_sum> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @router_c3(%l: tensor<?x8xf32>) {
  // expected-error @below {{(router_c3) select = biased_score needs a bias}}
  %0:2 = moe.router %l <select = biased_score, top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @router_c3_elements(%l: tensor<?x8xf32>, %b: tensor<4xf32>) {
  // expected-error @below {{(router_c3) the bias must have 8 elements, got 'tensor<4xf32>'}}
  %0:2 = moe.router %l bias(%b) <select = biased_score, top_k = 2> : (tensor<?x8xf32>, tensor<4xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @router_c4(%l: tensor<4x8xf32>) {
  // expected-error @below {{(router_c4) rows of weights and ids must be rows of the logits}}
  %0:2 = moe.router %l <top_k = 2> : (tensor<4x8xf32>) -> (tensor<5x2xf32>, tensor<5x2xi32>)
  return
}

// -----

func.func @router_c5(%l: tensor<?x8xf32>, %i: tensor<?x3xi32>) {
  // expected-error @below {{(router_c5) static ids must have the shape of ids}}
  %0:2 = moe.router %l static_ids(%i) <top_k = 2> : (tensor<?x8xf32>, tensor<?x3xi32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @router_c6(%l: tensor<?x8xf32>) {
  // expected-error @below {{(router_c6) expected weights and ids, got 1 results}}
  %0 = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @router_c6_types(%l: tensor<?x8xf32>) {
  // expected-error @below {{(router_c6) expected weights of f32 and ids of i32}}
  %0:2 = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

func.func @router_c6_buffers(%l: memref<?x8xf32>, %w: memref<?x2xf32>) {
  // expected-error @below {{(router_c6) expected weights and ids, got 1 results}}
  moe.router %l <top_k = 2> outs(%w) : (memref<?x8xf32>, memref<?x2xf32>) -> ()
  return
}

// -----

func.func @router_vector(%l: tensor<8xf32>) {
  // expected-error @below {{operand #0 must be a 2-D tensor or memref of floats, but got 'tensor<8xf32>'}}
  %0:2 = moe.router %l <top_k = 2> : (tensor<8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @dispatch_c1(%i: tensor<?x2xi32>) {
  // expected-error @below {{(dispatch_c1) the plan must be !moe.plan<8, 2>, got '!moe.plan<4, 2>'}}
  %0 = moe.dispatch %i experts(8) : (tensor<?x2xi32>) -> !moe.plan<4, 2>
  return
}

// -----

func.func @dispatch_c1_slots(%i: tensor<?x2xi32>) {
  // expected-error @below {{(dispatch_c1) the plan must be !moe.plan<8, 2>, got '!moe.plan<8, 3>'}}
  %0 = moe.dispatch %i experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 3>
  return
}

// -----

func.func @dispatch_c2(%i: tensor<?x2xi32>) {
  // expected-error @below {{(dispatch_c2) an overflow policy and a capacity come together}}
  %0 = moe.dispatch %i experts(8) {capacity = 4 : i64} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return
}

// -----

func.func @dispatch_c2_policy(%i: tensor<?x2xi32>) {
  // expected-error @below {{(dispatch_c2) an overflow policy and a capacity come together}}
  %0 = moe.dispatch %i experts(8) {overflow = #moe.overflow<position>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return
}

// -----

func.func @dispatch_c3(%i: tensor<?x2xi32>) {
  // expected-error @below {{(dispatch_c3) overflow <probability> needs weights of the shape of ids}}
  %0 = moe.dispatch %i experts(8) {capacity = 4 : i64, overflow = #moe.overflow<probability>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return
}

// -----

func.func @dispatch_c4(%i: tensor<?x2xi32>) {
  // expected-error @below {{(dispatch_c4) expected a positive capacity or a positive capacity_factor, not both}}
  %0 = moe.dispatch %i experts(8) {capacity = 4 : i64, capacity_factor = 1.0 : f64, overflow = #moe.overflow<position>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return
}

// -----

func.func @dispatch_c4_zero(%i: tensor<?x2xi32>) {
  // expected-error @below {{(dispatch_c4) expected a positive capacity}}
  %0 = moe.dispatch %i experts(8) {capacity = 0 : i64, overflow = #moe.overflow<position>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return
}

// -----

func.func @dispatch_c4_nan(%i: tensor<?x2xi32>) {
  // expected-error @below {{(dispatch_c4) expected a positive capacity}}
  %0 = moe.dispatch %i experts(8) {capacity_factor = 0x7FF8000000000000 : f64, overflow = #moe.overflow<position>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return
}

// -----

func.func @dispatch_c4_least(%i: tensor<?x2xi32>) {
  // expected-error @below {{and a min_capacity that is not negative}}
  %0 = moe.dispatch %i experts(8) {capacity = 1 : i64, min_capacity = -1 : i64, overflow = #moe.overflow<position>} : (tensor<?x2xi32>) -> !moe.plan<8, 2>
  return
}

// -----

func.func @dispatch_c5(%i: tensor<?x2xi32>) {
  // expected-error @below {{(dispatch_c5) expected one plan or its 4 buffers, got 2 operands}}
  %0:2 = moe.dispatch %i experts(8) : (tensor<?x2xi32>) -> (!moe.plan<8, 2>, !moe.plan<8, 2>)
  return
}

// -----

func.func @dispatch_c5_buffers(%i: memref<?x2xi32>, %n: memref<9xi32>) {
  // expected-error @below {{(dispatch_c5) expected one plan or its 4 buffers, got 3 operands}}
  moe.dispatch %i experts(8) outs(%n, %n, %n) : (memref<?x2xi32>, memref<9xi32>, memref<9xi32>, memref<9xi32>) -> ()
  return
}

// -----

func.func @dispatch_c6(%i: tensor<?x2xi32>, %w: tensor<?x2xf32>) {
  // expected-error @below {{(dispatch_c6) expected at least 1 expert and at most one block of weights}}
  %0 = moe.dispatch %i weights(%w, %w) experts(8) : (tensor<?x2xi32>, tensor<?x2xf32>, tensor<?x2xf32>) -> !moe.plan<8, 2>
  return
}

// -----

func.func @dispatch_c6_experts(%i: memref<?x2xi32>, %n: memref<9xi32>) {
  // expected-error @below {{(dispatch_c6) expected at least 1 expert and at most one block of weights}}
  moe.dispatch %i experts(0) outs(%n, %n, %n, %n) : (memref<?x2xi32>, memref<9xi32>, memref<9xi32>, memref<9xi32>, memref<9xi32>) -> ()
  return
}

// -----

func.func @route_c1(%x: tensor<?x64xf32>, %g: tensor<8x32xf32>) {
  // expected-error @below {{(route_c1) the gate must be [8,64], got 'tensor<8x32xf32>'}}
  %0:2 = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x32xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @route_c1_rank(%x: tensor<?x64xf32>, %g: tensor<64xf32>) {
  // expected-error @below {{(route_c1) expected a weight of 2 dimensions, got 'tensor<64xf32>'}}
  %0:2 = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @route_c2(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) {
  // expected-error @below {{(route_c2) expected weights of f32 with top_k = 2 columns and the rows of the input, got 'tensor<?x3xf32>'}}
  %0:2 = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x3xf32>, tensor<?x3xi32>)
  return
}

// -----

func.func @route_c2_order(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) {
  // expected-error @below {{(route_c2) expected weights of f32 with top_k = 2 columns and the rows of the input, got '!moe.plan<8, 2>'}}
  %0:3 = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (!moe.plan<8, 2>, tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @route_c2_plan(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) {
  // expected-error @below {{(route_c2) the plan must be !moe.plan<8, 2>, got '!moe.plan<8, 4>'}}
  %0:3 = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 4>)
  return
}

// -----

func.func @route_c2_one(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) {
  // expected-error @below {{(route_c2) expected weights and ids}}
  %0 = moe.route %x, %g <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @route_c2_buffers(%x: memref<?x64xf32>, %g: memref<1x2x64x16xf32>, %w: memref<?x2xf32>, %i: memref<?x2xi32>, %n: memref<9xi32>) {
  // expected-error @below {{(route_c2) expected one plan or its 4 buffers, got 1 operands}}
  moe.route %x, %g <top_k = 2> experts(8) outs(%w, %i, %n) : (memref<?x64xf32>, memref<1x2x64x16xf32>, memref<?x2xf32>, memref<?x2xi32>, memref<9xi32>) -> ()
  return
}

// -----

func.func @route_c3(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>) {
  // expected-error @below {{(route_c3) groups (3) must divide the number of experts (8)}}
  %0:2 = moe.route %x, %g <top_k = 2, groups = 3> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @route_c4(%x: tensor<?x64xf32>, %g: tensor<8x64xf32>, %b: tensor<8xf32>) {
  // expected-error @below {{(route_c4) a bias needs select = biased_score}}
  %0:2 = moe.route %x, %g bias(%b) <top_k = 2> experts(8) : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
  return
}

// -----

func.func @record_c1(%w: tensor<?x2xf32>, %i: tensor<?x3xi32>) {
  // expected-error @below {{(record_c1) weights and ids must have one shape}}
  moe.record %w, %i {index = 0 : i64} : tensor<?x2xf32>, tensor<?x3xi32>
  return
}

// -----

func.func @record_c2(%w: tensor<?x2xf32>, %i: tensor<?x2xi32>) {
  // expected-error @below {{(record_c2) index must not be negative}}
  moe.record %w, %i {index = -1 : i64} : tensor<?x2xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @record_c3(%w: memref<?x2xf32>, %i: memref<?x2xi32>) {
  // expected-error @below {{(record_c3) value form takes tensors alone, buffer form memrefs with `outs` (ids, weights) and an extent}}
  moe.record %w, %i {index = 0 : i64} : memref<?x2xf32>, memref<?x2xi32>
  return
}

// -----

func.func @record_c3_mixed(%w: tensor<?x2xf32>, %i: memref<?x2xi32>) {
  // expected-error @below {{(record_c3) value form takes tensors alone, buffer form memrefs with `outs` (ids, weights) and an extent}}
  moe.record %w, %i {index = 0 : i64} : tensor<?x2xf32>, memref<?x2xi32>
  return
}

// -----

func.func @record_c3_order(%w: memref<?x2xf32>, %i: memref<?x2xi32>, %a: memref<?xi32>, %b: memref<?xf32>, %n: index) {
  // expected-error @below {{(record_c3) value form takes tensors alone, buffer form memrefs with `outs` (ids, weights) and an extent}}
  moe.record %w, %i outs(%b, %a : memref<?xf32>, memref<?xi32>) extent(%n) {index = 0 : i64} : memref<?x2xf32>, memref<?x2xi32>
  return
}
