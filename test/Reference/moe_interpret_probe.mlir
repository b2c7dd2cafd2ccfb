// RUN: rm -rf %t && moe-interpret %s --function=main --arg=random:1:2x4 --probe=%t > %t.out
// RUN: ls %t | FileCheck %s --check-prefix=FILES
// RUN: FileCheck %s --input-file=%t/index.json

// FILES: 000.npy
// FILES-NEXT: 001.npy
// FILES-NEXT: index.json

// CHECK: "calls": "main/double"
// CHECK-NEXT: "file": "000.npy"
// CHECK-NEXT: "function": "double"
// CHECK-NEXT: "location": {{.*}}moe_interpret_probe.mlir
// CHECK-NEXT: "name": "%0"
// CHECK-NEXT: "number": 0
// CHECK-NEXT: "op": "lm.add"
// CHECK: "calls": "main"
// CHECK: "op": "lm.activate"
// CHECK: "type": "bf16"
func.func private @double(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %y = lm.add %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xbf16> {
  %y = func.call @double(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %z = lm.activate %y <relu> : (tensor<?x4xf32>) -> tensor<?x4xbf16>
  return %z : tensor<?x4xbf16>
}
