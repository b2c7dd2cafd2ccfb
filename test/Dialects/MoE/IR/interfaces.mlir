// Shapes of results as values, common subexpressions, and loops.
// RUN: moe-opt %s --resolve-ranked-shaped-type-result-dims --canonicalize --cse | FileCheck %s --check-prefix=SHAPE
// RUN: moe-opt %s --cse | FileCheck %s --check-prefix=CSE
// RUN: moe-opt %s --loop-invariant-code-motion | FileCheck %s --check-prefix=LOOP

// Rows of choices are k times the rows of tokens.
// SHAPE-LABEL: @rows(
// SHAPE-SAME:    %[[X:.*]]: tensor<?x64xf32>
// SHAPE-DAG:     %[[C0:.*]] = arith.constant 0 : index
// SHAPE-DAG:     %[[C2:.*]] = arith.constant 2 : index
// SHAPE:         %[[T:.*]] = tensor.dim %[[X]], %[[C0]]
// SHAPE:         %[[CHOICES:.*]] = arith.muli %[[T]], %[[C2]]
// SHAPE:         return %[[CHOICES]], %[[T]], %{{.*}} :
func.func @rows(%x: tensor<?x64xf32>, %gu: tensor<8x64x64xf32>, %w: tensor<64x64xf32>, %p: !moe.plan<8, 2>, %n: index) -> (index, index, index) {
  %c0 = arith.constant 0 : index
  %h = moe.grouped_matmul gather %x, %gu by %p epilogue <silu> : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
  %y = lm.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %z = lm.last_rows %y, %n : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
  %0 = tensor.dim %h, %c0 : tensor<?x32xf32>
  %1 = tensor.dim %y, %c0 : tensor<?x64xf32>
  %2 = tensor.dim %z, %c0 : tensor<?x64xf32>
  return %0, %1, %2 : index, index, index
}

// CSE-LABEL: @twice(
// CSE-COUNT-1: moe.pack
// CSE-COUNT-1: lm.linear
// CSE-NOT:     lm.linear
func.func @twice(%x: tensor<?x64xf32>, %w: tensor<64x64xf32>) -> tensor<?x64xf32> {
  %a = moe.pack %w : tensor<64x64xf32> -> !lm.packed<64x64xf32, panel>
  %b = moe.pack %w : tensor<64x64xf32> -> !lm.packed<64x64xf32, panel>
  %0 = lm.linear %x, %a : (tensor<?x64xf32>, !lm.packed<64x64xf32, panel>) -> tensor<?x64xf32>
  %1 = lm.linear %x, %b : (tensor<?x64xf32>, !lm.packed<64x64xf32, panel>) -> tensor<?x64xf32>
  %2 = lm.add %0, %1 : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return %2 : tensor<?x64xf32>
}

// Arithmetic leaves a loop; a table is read only where the loop runs.
// LOOP-LABEL: @loop(
// LOOP:         lm.activate
// LOOP:         scf.for
// LOOP:           lm.embedding
func.func @loop(%x: tensor<?x64xf32>, %t: tensor<?xi32>, %table: tensor<128x64xf32>, %n: index) -> tensor<?x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %x) -> tensor<?x64xf32> {
    %e = lm.embedding %t, %table : (tensor<?xi32>, tensor<128x64xf32>) -> tensor<?x64xf32>
    %a = lm.activate %x <silu> : (tensor<?x64xf32>) -> tensor<?x64xf32>
    %0 = lm.add %acc, %e : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
    %1 = lm.add %0, %a : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
    scf.yield %1 : tensor<?x64xf32>
  }
  return %r : tensor<?x64xf32>
}
