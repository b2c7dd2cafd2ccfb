//===- Passes.td - Passes on the lm dialect -------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef LM_TRANSFORMS_PASSES_TD
#define LM_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def LMFuseGatedLinear : Pass<"lm-fuse-gated-linear"> {
  let summary = "linear and lm.gated become lm.gated_linear";
  let description = [{
    ```mlir
    %a = lm.linear %x, %w : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x96xf32>
    %h = lm.gated %a <silu> : (tensor<?x96xf32>) -> tensor<?x48xf32>
    ```
    becomes
    ```mlir
    %h = lm.gated_linear %x, %w <silu> : (tensor<?x64xf32>, tensor<96x64xf32>) -> tensor<?x48xf32>
    ```
    where the linear has no bias, no clip and no other user.
  }];
  let dependentDialects = ["::mlir::lm::LMDialect"];
}

#endif // LM_TRANSFORMS_PASSES_TD
