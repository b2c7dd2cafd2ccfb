// RUN: moe-opt %s --form-step | FileCheck %s

// One parallel region an entry function; loops of called functions are shared within it.
// CHECK-LABEL: func.func private @layer(
// CHECK-NOT:     omp.parallel
// CHECK:         omp.wsloop
// CHECK-NEXT:      omp.loop_nest (%[[SLOT:.*]]) : index = (%{{.*}}) to (%{{.*}}) step (%{{.*}})
// CHECK-NEXT:        call @kernel(%{{.*}}, %[[SLOT]])
// CHECK-NEXT:        omp.yield
func.func private @layer(%x: memref<?x64xf32>, %slots: index) {
  scf.forall (%slot) in (%slots) {
    func.call @kernel(%x, %slot) : (memref<?x64xf32>, index) -> ()
  }
  return
}
func.func private @kernel(memref<?x64xf32>, index)

// CHECK-LABEL: func.func @step(
// CHECK:         %[[THREADS:.*]] = arith.index_cast %{{.*}} : index to i32
// CHECK-NEXT:    omp.parallel num_threads(%[[THREADS]] : i32) {
// CHECK-NEXT:      call @layer
// CHECK-NEXT:      call @layer
// CHECK-NEXT:      omp.terminator
// CHECK-NEXT:    }
// CHECK-NEXT:    return
func.func @step(%x: memref<?x64xf32>, %slots: index) {
  call @layer(%x, %slots) : (memref<?x64xf32>, index) -> ()
  call @layer(%x, %slots) : (memref<?x64xf32>, index) -> ()
  return
}

// A loop that only some calls run ends with a barrier that is told from that of a loop.
// CHECK-LABEL: func.func private @sometimes(
// CHECK:         scf.if
// CHECK:           omp.wsloop nowait {
// CHECK:           omp.barrier
// CHECK:         omp.wsloop {
// CHECK-NOT:     omp.barrier
// CHECK:         return
func.func private @sometimes(%x: memref<?x64xf32>, %more: i1, %slots: index) {
  scf.if %more {
    scf.forall (%slot) in (%slots) {
      func.call @kernel(%x, %slot) : (memref<?x64xf32>, index) -> ()
    } {lm.optional}
  }
  scf.forall (%slot) in (%slots) {
    func.call @kernel(%x, %slot) : (memref<?x64xf32>, index) -> ()
  }
  return
}
