// What holds for every op with two forms, shown on lm.add and lm.linear.
// RUN: moe-opt %s --split-input-file --verify-diagnostics

func.func @neither_form(%x: tensor<?x64xf32>) {
  // expected-error @below {{(forms_c1) expected results or `outs`}}
  lm.add %x, %x : (tensor<?x64xf32>, tensor<?x64xf32>) -> ()
  return
}

// -----

func.func @both_forms(%x: memref<?x64xf32>) {
  // expected-error @below {{(forms_c1) buffer form (with `outs`) has no results}}
  %0 = lm.add %x, %x outs(%x) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @memref_operand(%x: tensor<?x64xf32>, %m: memref<?x64xf32>) {
  // expected-error @below {{(forms_c1) value form takes and returns no memref, got 'memref<?x64xf32>'}}
  %0 = lm.add %x, %m : (tensor<?x64xf32>, memref<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @memref_result(%x: tensor<?x64xf32>) {
  // expected-error @below {{(forms_c1) value form takes and returns no memref, got 'memref<?x64xf32>'}}
  %0 = lm.add %x, %x : (tensor<?x64xf32>, tensor<?x64xf32>) -> memref<?x64xf32>
  return
}

// -----

func.func @tensor_operand(%x: tensor<?x64xf32>, %m: memref<?x64xf32>) {
  // expected-error @below {{(forms_c1) buffer form (with `outs`) takes memrefs only, got 'tensor<?x64xf32>'}}
  lm.add %x, %m outs(%m) : (tensor<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @tensor_out(%x: tensor<?x64xf32>, %m: memref<?x64xf32>) {
  // expected-error @below {{(forms_c1) buffer form (with `outs`) takes memrefs only, got 'tensor<?x64xf32>'}}
  lm.add %m, %m outs(%x) : (memref<?x64xf32>, memref<?x64xf32>, tensor<?x64xf32>) -> ()
  return
}

// -----

func.func @packed_weight_in_buffer_form(%m: memref<?x64xf32>, %w: !lm.packed<64x64xf32, panel>) {
  // expected-error @below {{(forms_c1) buffer form (with `outs`) takes memrefs only, got '!lm.packed<64x64xf32, panel>'}}
  lm.linear %m, %w outs(%m) : (memref<?x64xf32>, !lm.packed<64x64xf32, panel>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @dynamic_columns(%x: tensor<4x?xf32>) {
  // expected-error @below {{(forms_c2) columns must be static and positive, got 'tensor<4x?xf32>'}}
  %0 = lm.add %x, %x : (tensor<4x?xf32>, tensor<4x?xf32>) -> tensor<4x?xf32>
  return
}

// -----

func.func @dynamic_columns_of_a_buffer(%x: memref<?x?xf32>) {
  // expected-error @below {{(forms_c2) columns must be static and positive, got 'memref<?x?xf32>'}}
  lm.add %x, %x outs(%x) : (memref<?x?xf32>, memref<?x?xf32>, memref<?x?xf32>) -> ()
  return
}

// -----

func.func @no_columns(%x: tensor<?x0xf32>) {
  // expected-error @below {{(forms_c2) columns must be static and positive, got 'tensor<?x0xf32>'}}
  %0 = lm.add %x, %x : (tensor<?x0xf32>, tensor<?x0xf32>) -> tensor<?x0xf32>
  return
}

// -----

func.func @two_results(%x: tensor<?x64xf32>) {
  // expected-error @below {{(forms_c3) expected one result or one memref in `outs`, got 2}}
  %0:2 = lm.add %x, %x : (tensor<?x64xf32>, tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>)
  return
}

// -----

func.func @two_outs(%x: memref<?x64xf32>) {
  // expected-error @below {{(forms_c3) expected one result or one memref in `outs`, got 2}}
  lm.add %x, %x outs(%x, %x) : (memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
  return
}

// -----

func.func @vector_for_rows(%x: tensor<64xf32>) {
  // expected-error @below {{operand #0 must be a 2-D tensor or memref of floats, but got 'tensor<64xf32>'}}
  %0 = lm.add %x, %x : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  return
}

// -----

func.func @vector_buffer_for_rows(%x: memref<64xf32>) {
  // expected-error @below {{operand #0 must be a 2-D tensor or memref of floats, but got 'memref<64xf32>'}}
  lm.add %x, %x outs(%x) : (memref<64xf32>, memref<64xf32>, memref<64xf32>) -> ()
  return
}

// -----

func.func @unranked(%x: tensor<*xf32>) {
  // expected-error @below {{operand #0 must be a 2-D tensor or memref of floats, but got 'tensor<*xf32>'}}
  %0 = lm.add %x, %x : (tensor<*xf32>, tensor<*xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @dynamic_weight(%x: tensor<?x64xf32>, %w: tensor<?x64xf32>) {
  // expected-error @below {{operand #1 must be a static tensor of 1 to 3 dimensions, a packed weight or its buffer, but got 'tensor<?x64xf32>'}}
  %0 = lm.linear %x, %w : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @scalar_weight(%x: tensor<?x64xf32>, %w: tensor<f32>) {
  // expected-error @below {{operand #1 must be a static tensor of 1 to 3 dimensions, a packed weight or its buffer, but got 'tensor<f32>'}}
  %0 = lm.linear %x, %w : (tensor<?x64xf32>, tensor<f32>) -> tensor<?x64xf32>
  return
}
