// RUN: moe-opt %s --split-input-file --verify-diagnostics

func.func @grouped_matmul_c1(%x: tensor<?x32xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(grouped_matmul_c1) columns of x (32) must be columns of the weight 'tensor<8x64x64xf32>'}}
  %0 = moe.grouped_matmul %x, %w by %plan : (tensor<?x32xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

// -----

func.func @grouped_matmul_c1_rank(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(grouped_matmul_c1) expected a weight of 3 dimensions, got 'tensor<64x64xf32>'}}
  %0 = moe.grouped_matmul %x, %w by %plan : (tensor<?x64xf32>, tensor<64x64xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

// -----

func.func @grouped_matmul_c2(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<4, 2>) {
  // expected-error @below {{(grouped_matmul_c2) experts of the weight (8) must be experts of the plan (4)}}
  %0 = moe.grouped_matmul %x, %w by %plan : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<4, 2>) -> tensor<?x64xf32>
  return
}

// -----

func.func @grouped_matmul_c3(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(grouped_matmul_c3) the result must have 64 / 1 columns, got 32}}
  %0 = moe.grouped_matmul %x, %w by %plan : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  return
}

// -----

func.func @grouped_matmul_c3_function(%x: tensor<?x64xf32>, %w: tensor<8x65x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(grouped_matmul_c3) the result must have 65 / 2 columns, got 32}}
  %0 = moe.grouped_matmul %x, %w by %plan epilogue <silu> : (tensor<?x64xf32>, tensor<8x65x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  return
}

// -----

func.func @grouped_matmul_c4(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>, %b: tensor<64xf32>) {
  // expected-error @below {{(grouped_matmul_c4) the bias must be [8,64], got 'tensor<64xf32>'}}
  %0 = moe.grouped_matmul %x, %w by %plan bias(%b) : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @grouped_matmul_c5(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>, %s: tensor<?x1xf32>) {
  // expected-error @below {{(grouped_matmul_c5) row_scale must have 2 columns, got 'tensor<?x1xf32>'}}
  %0 = moe.grouped_matmul gather %x, %w by %plan row_scale(%s) : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>, tensor<?x1xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @grouped_matmul_c6(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(grouped_matmul_c6) a region and a function exclude each other}}
  %0 = moe.grouped_matmul %x, %w by %plan epilogue <silu> : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

func.func @grouped_matmul_c6_arguments(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(grouped_matmul_c6) the epilogue must take 2 f32}}
  %0 = moe.grouped_matmul %x, %w by %plan {paired} : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32> {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

func.func @grouped_matmul_c6_type(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>, %f: f32) {
  // expected-error @below {{(grouped_matmul_c6) the epilogue must take 1 f32}}
  %0 = moe.grouped_matmul %x, %w by %plan : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32> {
  ^bb0(%a: f64):
    %b = arith.truncf %a : f64 to f32
    moe.yield %b : f32
  }
  return
}

// -----

func.func @grouped_matmul_c6_terminator(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(grouped_matmul_c6) the epilogue must end with moe.yield}}
  %0 = moe.grouped_matmul %x, %w by %plan : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32> {
  ^bb0(%a: f32):
    llvm.unreachable
  }
  return
}

// -----

func.func @grouped_matmul_c6_empty(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(grouped_matmul_c6) the epilogue must end with moe.yield}}
  %0 = moe.grouped_matmul %x, %w by %plan : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32> {
  ^bb0(%a: f32):
  }
  return
}

// -----

func.func @grouped_matmul_c6_paired(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(grouped_matmul_c6) paired needs a region}}
  %0 = moe.grouped_matmul %x, %w by %plan {paired} : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  return
}

// -----

func.func @grouped_matmul_isolated(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>, %f: f32) {
  // expected-note @below {{required by region isolation constraints}}
  %0 = moe.grouped_matmul %x, %w by %plan : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32> {
  ^bb0(%a: f32):
    // expected-error @below {{using value defined outside the region}}
    %b = arith.addf %a, %f : f32
    moe.yield %b : f32
  }
  return
}

// -----

func.func @grouped_matmul_two_blocks(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{region #0 ('epilogue') failed to verify constraint: region with at most 1 blocks}}
  %0 = moe.grouped_matmul %x, %w by %plan : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32> {
  ^bb0(%a: f32):
    cf.br ^bb1
  ^bb1:
    moe.yield %a : f32
  }
  return
}

// -----

func.func @grouped_matmul_c7(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(grouped_matmul_c7) expected one plan or its 4 buffers, got 2 operands}}
  %0 = moe.grouped_matmul %x, %w by %plan, %plan : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

// -----

func.func @grouped_matmul_c7_none(%x: tensor<?x64xf32>, %w: tensor<8x64x64xf32>) {
  // expected-error @below {{(grouped_matmul_c7) expected one plan or its 4 buffers, got 0 operands}}
  %0 = "moe.grouped_matmul"(%x, %w) <{operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0>}> ({}) : (tensor<?x64xf32>, tensor<8x64x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @grouped_matmul_c7_buffers(%x: memref<?x64xf32>, %w: memref<8x4x64x16xf32>, %n: memref<9xi32>) {
  // expected-error @below {{(grouped_matmul_c7) expected one plan or its 4 buffers, got 1 operands}}
  moe.grouped_matmul %x, %w by %n outs(%x) : (memref<?x64xf32>, memref<8x4x64x16xf32>, memref<9xi32>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @grouped_matmul_c8(%x: tensor<4x64xf32>, %w: tensor<8x64x64xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(grouped_matmul_c8) the result must have 8 rows}}
  %0 = moe.grouped_matmul gather %x, %w by %plan : (tensor<4x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<4x64xf32>
  return
}

// -----

func.func @yield_elsewhere(%a: f32) {
  // expected-error @below {{'moe.yield' op expects parent op 'moe.grouped_matmul'}}
  moe.yield %a : f32
}

// -----

func.func @expert_ffn_c1(%x: tensor<?x32xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(expert_ffn_c1) columns of x must be columns of gate_up, and columns of the result rows of down}}
  %0 = moe.expert_ffn %x, %gu, %dn by %plan <silu> : (tensor<?x32xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

// -----

func.func @expert_ffn_c1_rank(%x: tensor<?x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<64x32xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(expert_ffn_c1) expected a weight of 3 dimensions, got 'tensor<64x32xf32>'}}
  %0 = moe.expert_ffn %x, %gu, %dn by %plan <silu> : (tensor<?x64xf32>, tensor<8x64x64xf32>, tensor<64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

// -----

func.func @expert_ffn_c2(%x: tensor<?x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>, %plan: !moe.plan<4, 2>) {
  // expected-error @below {{(expert_ffn_c2) gate_up, down and the plan must have one number of experts}}
  %0 = moe.expert_ffn %x, %gu, %dn by %plan <silu> : (tensor<?x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, !moe.plan<4, 2>) -> tensor<?x64xf32>
  return
}

// -----

func.func @expert_ffn_c3(%x: tensor<?x64xf32>, %gu: tensor<8x65x64xf32>, %dn: tensor<8x64x32xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(expert_ffn_c3) rows of gate_up (65) must be twice the columns of down (32)}}
  %0 = moe.expert_ffn %x, %gu, %dn by %plan <silu> : (tensor<?x64xf32>, tensor<8x65x64xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

// -----

func.func @expert_ffn_c4(%x: memref<?x64xf32>, %gu: memref<8x4x64x16xf32>, %dn: memref<8x4x32x16xf32>, %n: memref<9xi32>) {
  // expected-error @below {{(expert_ffn_c4) expected one plan or its 4 buffers, got 2 operands}}
  moe.expert_ffn %x, %gu, %dn by %n, %n <silu> outs(%x) : (memref<?x64xf32>, memref<8x4x64x16xf32>, memref<8x4x32x16xf32>, memref<9xi32>, memref<9xi32>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @expert_ffn_c5(%x: tensor<4x64xf32>, %gu: tensor<8x64x64xf32>, %dn: tensor<8x64x32xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(expert_ffn_c5) the result must have the rows of x times 2}}
  %0 = moe.expert_ffn %x, %gu, %dn by %plan <silu> : (tensor<4x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<4x64xf32>
  return
}

// -----

func.func @combine_c1(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(combine_c1) expected 32 columns, got 'tensor<?x64xf32>'}}
  %0 = moe.combine %y, %w by %plan : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  return
}

// -----

func.func @combine_c1_residual(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %plan: !moe.plan<8, 2>, %r: tensor<?x32xf32>) {
  // expected-error @below {{(combine_c1) expected 64 columns, got 'tensor<?x32xf32>'}}
  %0 = moe.combine %y, %w by %plan residual(%r) : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, tensor<?x32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @combine_c2(%y: tensor<?x64xf32>, %w: tensor<?x3xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(combine_c2) weights must have 2 columns, got 'tensor<?x3xf32>'}}
  %0 = moe.combine %y, %w by %plan : (tensor<?x64xf32>, tensor<?x3xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

// -----

func.func @combine_c3(%y: tensor<?x64xf32>, %w: tensor<4x2xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(combine_c3) rows of the result must be rows of weights}}
  %0 = moe.combine %y, %w by %plan : (tensor<?x64xf32>, tensor<4x2xf32>, !moe.plan<8, 2>) -> tensor<5x64xf32>
  return
}

// -----

func.func @combine_c4(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(combine_c4) identity, ids and identity_from come together}}
  %0 = moe.combine %y, %w by %plan {identity_from = 4 : i64} : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

// -----

func.func @combine_c5(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %plan: !moe.plan<8, 2>, %b: tensor<32xf32>) {
  // expected-error @below {{(combine_c5) the bias must have 64 elements, got 'tensor<32xf32>'}}
  %0 = moe.combine %y, %w by %plan bias(%b) : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, tensor<32xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @combine_c6(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(combine_c6) expected one plan or its 4 buffers, got 2 operands}}
  %0 = moe.combine %y, %w by %plan, %plan : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, !moe.plan<8, 2>) -> tensor<?x64xf32>
  return
}

// -----

func.func @combine_c7(%y: tensor<?x64xf32>, %w: tensor<4x2xf32>, %plan: !moe.plan<8, 2>, %r: tensor<5x64xf32>) {
  // expected-error @below {{(combine_c7) expected the rows of the result, got 'tensor<5x64xf32>'}}
  %0 = moe.combine %y, %w by %plan residual(%r) : (tensor<?x64xf32>, tensor<4x2xf32>, !moe.plan<8, 2>, tensor<5x64xf32>) -> tensor<4x64xf32>
  return
}

// -----

func.func @combine_c7_ids(%y: tensor<?x64xf32>, %w: tensor<?x2xf32>, %plan: !moe.plan<8, 2>, %x: tensor<?x64xf32>, %i: tensor<?x3xi32>) {
  // expected-error @below {{(combine_c7) ids must have the shape of weights}}
  %0 = moe.combine %y, %w by %plan identity(%x, %i) {identity_from = 4 : i64} : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, tensor<?x64xf32>, tensor<?x3xi32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @combine_c7_rows(%y: tensor<4x64xf32>, %w: tensor<4x2xf32>, %plan: !moe.plan<8, 2>) {
  // expected-error @below {{(combine_c7) y must have the rows of the result times 2}}
  %0 = moe.combine %y, %w by %plan : (tensor<4x64xf32>, tensor<4x2xf32>, !moe.plan<8, 2>) -> tensor<4x64xf32>
  return
}
