// RUN: moe-opt %s | moe-opt | FileCheck %s

// CHECK: func.func private @packed(!lm.packed<64x32xint8, panel>, !lm.packed<8x64x32xint4, paired_panel>, !lm.packed<64x32xint4_min, panel>, !lm.packed<64x32xmxfp4, panel>, !lm.packed<64x32xint8_channel, panel>)
func.func private @packed(!lm.packed<64x32xint8, panel>, !lm.packed<8x64x32xint4, paired_panel>, !lm.packed<64x32xint4_min, panel>, !lm.packed<64x32xmxfp4, panel>, !lm.packed<64x32xint8_channel, panel>)
// CHECK: func.func private @argument(tensor<?x64xf32>, tensor<8x64xbf16> {lm.format = #lm.format<int8>})
func.func private @argument(tensor<?x64xf32>, tensor<8x64xbf16> {lm.format = #lm.format<int8>})

// CHECK-LABEL: func.func @buffers
func.func @buffers(%x: memref<?x64xf32>, %w: memref<1x2x17x64xi8>, %g: memref<8x2x9x64xi8>, %a: memref<9xi32>, %b: memref<9xi32>, %c: memref<?xi32>, %d: memref<?xi32>, %y: memref<?x32xf32>, %h: memref<?x16xf32>) {
  // CHECK: lm.linear %{{.*}}, %{{.*}} outs(%{{.*}}) {weight_format = #lm.format<int8>}
  lm.linear %x, %w outs(%y) {weight_format = #lm.format<int8>} : (memref<?x64xf32>, memref<1x2x17x64xi8>, memref<?x32xf32>) -> ()
  // CHECK: lm.linear %{{.*}}, %{{.*}} outs(%{{.*}}) {weight_format = #lm.format<int8_channel>}
  lm.linear %x, %w outs(%y) {weight_format = #lm.format<int8_channel>} : (memref<?x64xf32>, memref<1x2x17x64xi8>, memref<?x32xf32>) -> ()
  // CHECK: lm.gated_linear %{{.*}}, %{{.*}} <silu> outs(%{{.*}}) {weight_format = #lm.format<mxfp4>}
  lm.gated_linear %x, %w <silu> outs(%h) {weight_format = #lm.format<mxfp4>} : (memref<?x64xf32>, memref<1x2x17x64xi8>, memref<?x16xf32>) -> ()
  // CHECK: moe.grouped_matmul %{{.*}}, %{{.*}} by %{{.*}} outs(%{{.*}}) {weight_format = #lm.format<int4>}
  moe.grouped_matmul %x, %g by %a, %b, %c, %d outs(%y) {weight_format = #lm.format<int4>} : (memref<?x64xf32>, memref<8x2x9x64xi8>, memref<9xi32>, memref<9xi32>, memref<?xi32>, memref<?xi32>, memref<?x32xf32>) -> ()
  return
}

// A packed weight may be made of any floats.
// CHECK-LABEL: func.func @pack
func.func @pack(%w: tensor<8x64xbf16>) -> !lm.packed<8x64xint8, panel> {
  // CHECK: moe.pack %{{.*}} : tensor<8x64xbf16> -> !lm.packed<8x64xint8, panel>
  %p = moe.pack %w : tensor<8x64xbf16> -> !lm.packed<8x64xint8, panel>
  return %p : !lm.packed<8x64xint8, panel>
}
