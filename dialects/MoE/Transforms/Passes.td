//===- Passes.td - Passes on the moe dialect ------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TRANSFORMS_PASSES_TD
#define MOE_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

class MoEPass<string name, string anchor = ""> : Pass<name, anchor> {
  let dependentDialects = ["::mlir::moe::MoEDialect", "::mlir::lm::LMDialect"];
}

def MoEDecomposeLayer : MoEPass<"moe-decompose-layer"> {
  let summary = "a moe.layer becomes router, dispatch, experts and combine";
  let description = [{
    Here the places of rounding are fixed: logits are f32; the first product
    rounds once, after the activation, to x's element type; the second stays f32
    until combine. A shared expert becomes `lm.linear`, `lm.gated` and
    `lm.linear`, and joins the sum last, by `lm.add`, or by `lm.scaled_add` if
    it has a gate.

    ```mlir
    %y = moe.layer %x router(%gate) experts(%gu, %down) <top_k = 2> <silu>
        : (tensor<?x64xf32>, tensor<8x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>) -> tensor<?x64xf32>
    ```
    becomes
    ```mlir
    %l = lm.linear %x, %gate : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
    %w, %ids = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
    %plan = moe.dispatch %ids experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
    %h = moe.grouped_matmul gather %x, %gu by %plan epilogue <silu>
        : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
    %e = moe.grouped_matmul %h, %down by %plan
        : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
    %y = moe.combine %e, %w by %plan : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
    ```
  }];
}

def MoEFuseGating : MoEPass<"moe-fuse-gating"> {
  let summary = "projection, router and dispatch become moe.route";
  let description = [{
    ```mlir
    %l = lm.linear %x, %g : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
    %w, %i = moe.router %l <top_k = 2> : (tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>)
    %p = moe.dispatch %i experts(8) : (tensor<?x2xi32>) -> !moe.plan<8, 2>
    ```
    becomes
    ```mlir
    %w, %i, %p = moe.route %x, %g <top_k = 2> experts(8)
        : (tensor<?x64xf32>, tensor<8x64xf32>) -> (tensor<?x2xf32>, tensor<?x2xi32>, !moe.plan<8, 2>)
    ```
    where the logits are f32 and have no other user, the projection has neither
    bias nor clip, ids are not static and the dispatch is dropless.
  }];
}

def MoEFuseExperts : MoEPass<"moe-fuse-experts"> {
  let summary = "a gated product and the product after it become moe.expert_ffn";
  let description = [{
    ```mlir
    %h = moe.grouped_matmul gather %x, %gu by %plan epilogue <silu>
        : (tensor<?x64xf32>, tensor<8x64x64xf32>, !moe.plan<8, 2>) -> tensor<?x32xf32>
    %y = moe.grouped_matmul %h, %down by %plan
        : (tensor<?x32xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
    ```
    becomes
    ```mlir
    %y = moe.expert_ffn %x, %gu, %down by %plan <silu>
        : (tensor<?x64xf32>, tensor<8x64x64xf32>, tensor<8x64x32xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
    ```
    where neither has a bias, a row scale or a region, h has x's element type
    and no other user, and y is f32.
  }];
}

def MoEFuseCombine : MoEPass<"moe-fuse-combine"> {
  let summary = "a residual added to a combine becomes its operand";
  let description = [{
    ```mlir
    %c = moe.combine %y, %w by %plan : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>) -> tensor<?x64xf32>
    %r = lm.add %x, %c : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
    ```
    becomes
    ```mlir
    %r = moe.combine %y, %w by %plan residual(%x)
        : (tensor<?x64xf32>, tensor<?x2xf32>, !moe.plan<8, 2>, tensor<?x64xf32>) -> tensor<?x64xf32>
    ```
    where the combine is f32 and has no other user. The residual is then the
    first summand, not the last: a pass of phase `fused`, which fixes rounding,
    and not a canonicalization, which must keep every bit.
  }];
}

def MoEPackWeights : MoEPass<"moe-pack-weights", "::mlir::ModuleOp"> {
  let summary = "gives every weight the layout that its user's kernel reads";
  let description = [{
    Weights that are results of lm.weight or arguments of functions change
    their type from tensor to !lm.packed, at declarations, uses and calls
    alike. A weight used in two layouts is an error.
  }];
}

def MoESplitPhases : MoEPass<"moe-split-phases"> {
  let summary = "parts fused ops where all threads must meet";
  let description = [{
    Each op that is left is one parallel loop: moe.route gives up its dispatch,
    moe.expert_ffn becomes two grouped products, lm.attention appends first.
  }];
}

def MoEToBuffers : MoEPass<"moe-to-buffers", "::mlir::ModuleOp"> {
  let summary = "value form to buffer form, functions included";
  let description = [{
    A conversion of our own and not one-shot bufferization: no op aliases or
    updates a tensor in place, so there is no conflict to analyse, while a plan
    becomes four buffers, functions get arguments, and packed weights (no
    tensors) become views, which one-shot bufferization has no words for.

    Every tensor becomes a memref, every plan its four buffers. Results of
    functions become arguments to write to. Private functions take the weights
    as one byte buffer and a record of offsets, so that a call is short however
    many weights a layer has. Functions end with the context arguments:
    weights, record, arena, scratch, route ids, route weights, capacity,
    extent, slots.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::func::FuncDialect"];
}

def MoEPlanArena : MoEPass<"moe-plan-arena", "::mlir::ModuleOp"> {
  let summary = "one arena: every temporary gets an offset";
  let description = [{
    Replaces each memref.alloc by a view of the arena at A * capacity + B bytes,
    buffers that do not live at the same time sharing a place. Sets the module's
    `lm.arena` = {per_token, fixed, per_thread}. Afterwards there is no
    memref.alloc.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect",
                           "::mlir::arith::ArithDialect"];
  let options = [
    Option<"scratchBytes", "scratch-bytes", "int64_t", "0",
           "bytes of scratch a thread">
  ];
}

def MoEVerifyBuffers : MoEPass<"moe-verify-buffers"> {
  let summary = "fails where something is allocated, copied or still a value";
  let description = [{
    What phase `buffers` promises: no memref.alloc, memref.alloca or
    memref.copy, and no tensor, plan, packed weight or KV cache handle. Runs the
    verifiers, too, whether or not the pass manager does.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

#endif // MOE_TRANSFORMS_PASSES_TD
