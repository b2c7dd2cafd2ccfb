// Every enumerator, and the attributes of published routers (#moe.router's table).
// RUN: moe-opt %s | moe-opt | FileCheck %s

// CHECK: func.func private @plan(!moe.plan<64, 8>)
func.func private @plan(!moe.plan<64, 8>)

func.func private @routers() attributes {
  // CHECK: dbrx = #moe.router<top_k = 4, renormalize = lp, p = 1.000000e+00 : f64>
  dbrx = #moe.router<top_k = 4, renormalize = lp, p = 1.0>,
  // CHECK-SAME: deepseek_v2 = #moe.router<top_k = 6, groups = 8, top_groups = 3, masked = zero, scale = 1.600000e+01 : f64>
  deepseek_v2 = #moe.router<top_k = 6, groups = 8, top_groups = 3, masked = zero, scale = 16.0>,
  // CHECK-SAME: deepseek_v3 = #moe.router<score = sigmoid, select = biased_score, top_k = 8, groups = 8, top_groups = 4, group_score = top2_sum, renormalize = l1, eps = 9.9999999999999995E-21 : f64, scale = 2.500000e+00 : f64>
  deepseek_v3 = #moe.router<score = sigmoid, select = biased_score, top_k = 8, groups = 8, top_groups = 4, group_score = top2_sum, renormalize = l1, eps = 1.0e-20, scale = 2.5>,
  // CHECK-SAME: deepseek_v4 = #moe.router<score = sqrt_softplus, select = biased_score, top_k = 8, renormalize = l1>
  deepseek_v4 = #moe.router<score = sqrt_softplus, select = biased_score, top_k = 8, renormalize = l1>,
  // CHECK-SAME: ernie = #moe.router<select = biased_score, top_k = 6, renormalize = clamped_sum, eps = {{[^:]*}} : f64>
  ernie = #moe.router<select = biased_score, top_k = 6, renormalize = clamped_sum, eps = 1.0e-12>,
  // CHECK-SAME: gpt_oss = #moe.router<score = identity, select = logit, top_k = 4, renormalize = softmax>
  gpt_oss = #moe.router<score = identity, select = logit, top_k = 4, renormalize = softmax>,
  // CHECK-SAME: llama4 = #moe.router<score = sigmoid, select = logit, top_k = 1>
  llama4 = #moe.router<score = sigmoid, select = logit, top_k = 1>,
  // CHECK-SAME: mixtral = #moe.router<top_k = 2, renormalize = l1>
  mixtral = #moe.router<score = softmax, select = score, top_k = 2, groups = 1, group_score = max, masked = neg_inf, renormalize = l1>,
  // CHECK-SAME: phi = #moe.router<score = sparse_mixer, top_k = 2, eps = 1.000000e-02 : f64>
  phi = #moe.router<score = sparse_mixer, top_k = 2, eps = 0.01>,
  // CHECK-SAME: policy = #moe.overflow<none>
  policy = #moe.overflow<none>
}
