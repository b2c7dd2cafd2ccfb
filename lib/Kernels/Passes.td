//===- Passes.td - From buffer form to loops over vectors -----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_KERNELS_PASSES_TD
#define MOE_KERNELS_PASSES_TD

include "mlir/Pass/PassBase.td"

def OutlineKernels : Pass<"outline-kernels", "::mlir::ModuleOp"> {
  let summary = "every op in buffer form becomes a parallel call of a kernel";
  let description = [{
    An op becomes an scf.forall over slots that calls a private function which
    holds the op; equal ops share one function. Slots divide the op's work in
    equal parts; how many threads execute them changes no result.

    ```mlir
    lm.add %a, %b outs(%c) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
    ```
    becomes
    ```mlir
    scf.forall (%slot) in (%slots) {
      %mine = memref.view %scratch[%start][%size] : memref<?xi8> to memref<?xi8>
      func.call @kernel_add_0(%a, %b, %c, %slot, %slots, %mine)
          : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>, index, index, memref<?xi8>) -> ()
    }
    ```
    Fails on an op for which there is no kernel.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect"];
}

def ExpandKernels : Pass<"expand-kernels", "::mlir::ModuleOp"> {
  let summary = "the op in each kernel becomes loops over vectors";
  let description = [{
    Uses the module's `lm.target`. Register tiles (`tile_*`) are made on demand
    and shared by all kernels.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::mlir::vector::VectorDialect",
                           "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect"];
}

def FormStep : Pass<"form-step", "::mlir::ModuleOp"> {
  let summary = "one omp.parallel an entry function, work-shared loops within";
  let description = [{
    The body of every public function becomes one omp.parallel; every
    scf.forall, in called functions too, becomes an orphaned omp.wsloop, whose
    end is a barrier. A loop that only some calls run (`lm.optional`) ends with
    an omp.barrier instead, so that who counts barriers can tell. Everything
    between loops is index arithmetic that each thread does for itself.
  }];
  let dependentDialects = ["::mlir::omp::OpenMPDialect", "::mlir::arith::ArithDialect"];
}

#endif // MOE_KERNELS_PASSES_TD
