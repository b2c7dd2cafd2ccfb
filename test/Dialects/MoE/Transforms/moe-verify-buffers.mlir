// RUN: moe-opt %s --moe-verify-buffers --split-input-file --verify-diagnostics

func.func @clean(%x: memref<?x64xf32>, %arena: memref<?xi8>, %n: index) {
  %c0 = arith.constant 0 : index
  %a = memref.view %arena[%c0][%n] : memref<?xi8> to memref<?x64xf32>
  lm.add %x, %x outs(%a) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @alloc(%n: index) {
  // expected-error @below {{'memref.alloc' op allocates: every buffer must lie in the arena}}
  %a = memref.alloc(%n) : memref<?x64xf32>
  return
}

// -----

func.func @alloca() {
  // expected-error @below {{'memref.alloca' op allocates: every buffer must lie in the arena}}
  %a = memref.alloca() : memref<4x64xf32>
  return
}

// -----

func.func @copy(%a: memref<?x64xf32>, %b: memref<?x64xf32>) {
  // expected-error @below {{'memref.copy' op copies a buffer}}
  memref.copy %a, %b : memref<?x64xf32> to memref<?x64xf32>
  return
}

// -----

// expected-error @below {{is not in buffer form: it has type 'tensor<?x64xf32>'}}
func.func @tensor(%x: tensor<?x64xf32>) {
  return
}

// -----

func.func @plan(%i: memref<?x2xi32>) {
  // expected-error @below {{'lm.layer_state' op is not in buffer form: it has type '!lm.state<2x16xf32>'}}
  %s = lm.layer_state 0 : !lm.state<2x16xf32>
  return
}
