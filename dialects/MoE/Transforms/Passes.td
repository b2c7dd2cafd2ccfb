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
  let summary = "moe.layer becomes router, dispatch, experts and combine";
  let description = [{
    The router's logits are f32; both grouped products round to x's element
    type once, after the activation; expert outputs stay f32 until combine.
    A shared expert becomes gated_linear-like ops and joins the sum last.
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
    becomes one `moe.route`, where the logits have no other user and the
    dispatch is dropless.
  }];
}

def MoEFuseExperts : MoEPass<"moe-fuse-experts"> {
  let summary = "a gated product and the product after it become moe.expert_ffn";
}

def MoEFuseCombine : MoEPass<"moe-fuse-combine"> {
  let summary = "a residual added to a combine becomes its operand";
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

#endif // MOE_TRANSFORMS_PASSES_TD
