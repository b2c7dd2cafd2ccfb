// RUN: moe-opt %s | moe-opt | FileCheck %s

// CHECK: func.func private @packed(!lm.packed<64xf32, row_major>, !lm.packed<64x32xbf16, row_major>, !lm.packed<8x64x32xbf16, panel>, !lm.packed<64x32xf16, paired_panel>)
func.func private @packed(!lm.packed<64xf32, row_major>, !lm.packed<64x32xbf16, row_major>, !lm.packed<8x64x32xbf16, panel>, !lm.packed<64x32xf16, paired_panel>)
// CHECK: func.func private @state(!lm.state<2x16xbf16>, !lm.state<8x128xf32>, !lm.state<2x16x(bf16, f16, i8)>)
func.func private @state(!lm.state<2x16xbf16>, !lm.state<8x128xf32>, !lm.state<2x16x(bf16, f16, i8)>)
// CHECK: func.func private @attributes() attributes {a = #lm.activation<gelu_tanh>, r = #lm.rope_style<adjacent>}
func.func private @attributes() attributes {a = #lm.activation<gelu_tanh>, r = #lm.rope_style<adjacent>}
