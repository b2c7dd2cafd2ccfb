// RUN: moe-opt %s --outline-kernels --split-input-file --verify-diagnostics | FileCheck %s

// Equal ops share one kernel.
// CHECK-LABEL: func.func @f(
// CHECK-SAME:    %[[X:[^:]*]]: memref<?x64xf32>, {{.*}} %[[SLOTS:[^:]*]]: index)
// CHECK:         %[[SCRATCH:.*]] = memref.view {{.*}} {lm.scratch}
// CHECK:         scf.forall (%[[SLOT:.*]]) in (%[[SLOTS]])
// CHECK:           %[[MINE:.*]] = memref.view %[[SCRATCH]]
// CHECK:           func.call @kernel_add_0(%[[X]], %[[X]], %[[X]], %[[SLOT]], %[[SLOTS]], %[[MINE]])
// CHECK:         scf.forall
// CHECK:           func.call @kernel_add_0(
// CHECK:         scf.forall
// CHECK:           func.call @kernel_activate_1(
// CHECK:       func.func private @kernel_add_0({{.*}}) attributes {lm.kernel}
// CHECK-NEXT:    lm.add
// CHECK:       func.func private @kernel_activate_1({{.*}}) attributes {lm.kernel}
// CHECK-NEXT:    lm.activate
module attributes {lm.arena = {fixed = 0 : i64, per_thread = 64 : i64, per_token = 0 : i64}} {
  func.func @f(%x: memref<?x64xf32>, %arena: memref<?xi8>, %capacity: index, %extent: index, %slots: index) {
    %c0 = arith.constant 0 : index
    %scratch = memref.view %arena[%c0][%capacity] {lm.scratch} : memref<?xi8> to memref<?xi8>
    lm.add %x, %x outs(%x) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
    lm.add %x, %x outs(%x) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
    lm.activate %x <silu> outs(%x) : (memref<?x64xf32>, memref<?x64xf32>) -> ()
    return
  }
}

// -----

// expected-error @below {{expected lm.arena: run moe-plan-arena first}}
module {
}

// -----

module attributes {lm.arena = {fixed = 0 : i64, per_thread = 64 : i64, per_token = 0 : i64}} {
  func.func @f(%x: memref<?x64xf32>, %gu: memref<8x8x64x16xf32>, %n: memref<9xi32>, %r: memref<?xi32>, %arena: memref<?xi8>, %capacity: index, %extent: index, %slots: index) {
    %c0 = arith.constant 0 : index
    %scratch = memref.view %arena[%c0][%capacity] {lm.scratch} : memref<?xi8> to memref<?xi8>
    // expected-error @below {{cannot be compiled for this target: no kernel builder}}
    moe.expert_ffn %x, %gu, %gu by %n, %n, %r, %r <silu> outs(%x) : (memref<?x64xf32>, memref<8x8x64x16xf32>, memref<8x8x64x16xf32>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>) -> ()
    return
  }
}

// -----

module attributes {lm.arena = {fixed = 0 : i64, per_thread = 64 : i64, per_token = 0 : i64}} {
  func.func @f(%x: memref<?x64xf32>, %g: memref<1x2x64x16xf32>, %w: memref<?x2xf32>, %i: memref<?x2xi32>, %n: memref<9xi32>, %r: memref<?xi32>, %arena: memref<?xi8>, %capacity: index, %extent: index, %slots: index) {
    %c0 = arith.constant 0 : index
    %scratch = memref.view %arena[%c0][%capacity] {lm.scratch} : memref<?xi8> to memref<?xi8>
    // expected-error @below {{cannot be compiled for this target: a plan, which moe-split-phases parts off}}
    moe.route %x, %g <top_k = 2> experts(8) outs(%w, %i, %n, %n, %r, %r) : (memref<?x64xf32>, memref<1x2x64x16xf32>, memref<?x2xf32>, memref<?x2xi32>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>) -> ()
    return
  }
}

// -----

// Attention of few queries over a long cache is computed in two loops, and a
// barrier lies between: states of segments, then what they merge to. Both are
// given the scratch of all slots.
// CHECK-LABEL: func.func @attend(
// CHECK:         %[[SCRATCH:.*]] = memref.view {{.*}} {lm.scratch}
// CHECK:         scf.if
// CHECK-NEXT:      scf.forall (%[[SLOT:.*]]) in (%[[SLOTS:.*]]) {
// CHECK-NEXT:        func.call @kernel_attention_segments_0({{.*}}, %[[SLOT]], %[[SLOTS]], %[[SCRATCH]])
// CHECK:         scf.forall
// CHECK-NEXT:      func.call @kernel_attention_1({{.*}}, %[[SCRATCH]])
// CHECK:       func.func private @kernel_attention_segments_0(
// CHECK-NEXT:    lm.attention {{.*}}lm.segments_first
// CHECK:       func.func private @kernel_attention_1(
// CHECK-NOT:     lm.segments_first
module attributes {lm.arena = {fixed = 0 : i64, per_thread = 64 : i64, per_token = 0 : i64}} {
  func.func @attend(%q: memref<?x16xf32>, %kv: memref<?xi8>, %p: index, %o: memref<?x16xf32>, %arena: memref<?xi8>, %capacity: index, %extent: index, %slots: index) {
    %c0 = arith.constant 0 : index
    %scratch = memref.view %arena[%c0][%capacity] {lm.scratch} : memref<?xi8> to memref<?xi8>
    lm.attention %q state(%kv) at %p outs(%o) extent(%extent) {heads = 2 : i64, scale = 0.5 : f64, state_type = !lm.state<1x8xf32>}
        : (memref<?x16xf32>, memref<?xi8>, index, memref<?x16xf32>, index) -> ()
    return
  }
}
