// RUN: moe-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{packed weight: expected 1 to 3 dimensions, got 4}}
func.func private @f(!lm.packed<2x2x2x2xf32, panel>)

// -----

// expected-error @below {{packed weight: expected 1 to 3 dimensions, got 0}}
func.func private @f(!lm.packed<f32, row_major>)

// -----

// expected-error @below {{packed weight: dimensions must be positive}}
func.func private @f(!lm.packed<0x4xf32, panel>)

// -----

// expected-error @below {{expected a format: f32, bf16, f16, int8, int4, int4_min, mxfp4, int4_nl or int8_channel, got i8}}
func.func private @f(!lm.packed<4x4xi8, panel>)

// -----

// expected-error @below {{packed weight: layout panel needs a matrix}}
func.func private @f(!lm.packed<4xf32, panel>)

// -----

// expected-error @below {{packed weight: paired_panel needs an even number of rows, got 3}}
func.func private @f(!lm.packed<3x4xf32, paired_panel>)

// -----

// expected-error @below {{expected a layout: row_major, panel or paired_panel, got diagonal}}
func.func private @f(!lm.packed<4x4xf32, diagonal>)

// -----

// expected-error @below {{expected static shape}}
func.func private @f(!lm.packed<?x4xf32, panel>)

// -----

// expected-error @below {{state: expected HEADSxSIZExTYPE}}
func.func private @f(!lm.state<2xf32>)

// -----

// expected-error @below {{state: heads and head size must be positive}}
func.func private @f(!lm.state<0x16xf32>)

// -----

// expected-error @below {{state: element type must be f32, bf16, f16 or i8, got 'f64'}}
func.func private @f(!lm.state<2x16xf64>)

// -----

// expected-error @below {{expected one of [silu, gelu, gelu_tanh, relu, sigmoid] for activation function, got: tanh}}
// expected-error @below {{failed to parse LM_ActivationAttr parameter 'value'}}
func.func private @f() attributes {a = #lm.activation<tanh>}

// -----

// expected-error @below {{state: element type must be f32, bf16, f16 or i8, got 'f64'}}
func.func private @f(!lm.state<2x16x(f32, f64)>)

// -----

// expected-error @below {{state: element type 'f32' comes twice}}
func.func private @f(!lm.state<2x16x(f32, i8, f32)>)

// -----

// expected-error @below {{expected ')'}}
func.func private @f(!lm.state<2x16x(f32 i8)>)
