// RUN: moe-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{plan: experts and slots must be positive, got 0 and 2}}
func.func private @f(!moe.plan<0, 2>)

// -----

// expected-error @below {{plan: experts and slots must be positive, got 8 and -1}}
func.func private @f(!moe.plan<8, -1>)

// -----

// expected-error @below {{struct is missing required parameter: top_k}}
func.func private @f() attributes {r = #moe.router<score = softmax>}

// -----

// expected-error @below {{router: top_k must be at least 1, got 0}}
func.func private @f() attributes {r = #moe.router<top_k = 0>}

// -----

// expected-error @below {{router: groups must be at least 1, got 0}}
func.func private @f() attributes {r = #moe.router<top_k = 2, groups = 0>}

// -----

// expected-error @below {{router: top_groups must lie between 1 and groups (4), got 5}}
func.func private @f() attributes {r = #moe.router<top_k = 2, groups = 4, top_groups = 5>}

// -----

// expected-error @below {{router: p is only for renormalize = lp}}
func.func private @f() attributes {r = #moe.router<top_k = 2, p = 2.0>}

// -----

// expected-error @below {{router: p must be positive}}
func.func private @f() attributes {r = #moe.router<top_k = 2, renormalize = lp, p = 0.0>}

// -----

// expected-error @below {{router: eps must not be negative}}
func.func private @f() attributes {r = #moe.router<top_k = 2, renormalize = l1, eps = -1.0>}

// -----

// expected-error @below {{router: sparse_mixer chooses 2 experts, got top_k = 4}}
func.func private @f() attributes {r = #moe.router<score = sparse_mixer, top_k = 4>}

// -----

// expected-error @below {{router: sparse_mixer takes no select, groups or renormalize}}
func.func private @f() attributes {r = #moe.router<score = sparse_mixer, top_k = 2, renormalize = l1>}

// -----

// expected-error @below {{expected one of [softmax, sigmoid, sqrt_softplus, identity, sparse_mixer] for how logits become scores, got: tanh}}
// expected-error @below {{failed to parse MoE_RouterAttr parameter 'score'}}
func.func private @f() attributes {r = #moe.router<score = tanh, top_k = 2>}

// -----

// expected-error @below {{expected one of [none, position, slot_major, probability]}}
// expected-error @below {{failed to parse MoE_OverflowAttr parameter 'value'}}
func.func private @f() attributes {o = #moe.overflow<random>}
