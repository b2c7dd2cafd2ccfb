// RUN: not moe-interpret %s --function=nobody 2>&1 | FileCheck %s --check-prefix=FUNCTION
// RUN: not moe-interpret %s --function=main 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not moe-interpret %s --function=main --arg=random:1:2x4 --arg=1 2>&1 | FileCheck %s --check-prefix=MORE
// RUN: not moe-interpret %s --function=main --arg=random:1 2>&1 | FileCheck %s --check-prefix=DYNAMIC
// RUN: not moe-interpret %s --function=main --arg=random:x:2x4 2>&1 | FileCheck %s --check-prefix=SEED
// RUN: not moe-interpret %s --function=main --arg=random:1:2x5 2>&1 | FileCheck %s --check-prefix=SHAPE
// RUN: not moe-interpret %s --function=main --arg=%t.none.npy 2>&1 | FileCheck %s --check-prefix=FILE
// RUN: not moe-interpret %s --function=main --arg=random:1:2x4 2>&1 | FileCheck %s --check-prefix=WEIGHT
// RUN: not moe-interpret %s --function=main --arg=random:1:2x4 --weights=%t.none 2>&1 | FileCheck %s --check-prefix=FOLDER
// RUN: not moe-interpret %s --function=unknown --arg=3 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// FUNCTION: moe-interpret: no function @nobody
// MISSING: moe-interpret: @main needs more than 0 --arg
// MORE: moe-interpret: @main takes fewer --arg
// DYNAMIC: 'random:1': the argument has dynamic sizes: give a shape
// SEED: 'random:x:2x4': expected random:SEED
// SHAPE: argument 0: expected a value of type 'tensor<?x4xf32>', got 2x5xf32
// FILE: none.npy: No such file
// WEIGHT: error: 'lm.weight' op reads weight @w, but no weights were given
// FOLDER: error: 'lm.weight' op reads weight @w: {{.*}}w.npy: No such file
// UNKNOWN: error: 'arith.muli' op is not an op that the interpreter knows

lm.weights @w : tensor<3x4xf32>

func.func @main(%x: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %w = lm.weight @w : tensor<3x4xf32>
  %y = lm.linear %x, %w : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

func.func @unknown(%i: index) -> index {
  %j = arith.muli %i, %i : index
  return %j : index
}
