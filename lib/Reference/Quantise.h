//===- Quantise.h - Numbers of quantised weights and their rows -*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_REFERENCE_QUANTISE_H
#define MOE_LIB_REFERENCE_QUANTISE_H

#include "moe/Reference/Tensor.h"

namespace moec::reference {

/// The numbers of a weight in a quantised format, as f64, or rounded to f32
/// where products with it read floats; the weight itself where it is in that
/// format already or the format is a float's.
Tensor quantiseWeight(const Tensor &weight,
                      std::optional<mlir::lm::Format> format, bool readsFloats);

/// What a product with that weight reads of x: x itself, or of each row's
/// groups of columns the integers nearest to x * (127 / max|x|) times the f32
/// scale max|x| / 127 (docs/numerics.md).
Tensor rowsFor(const Tensor &x, const Tensor &weight);

} // namespace moec::reference

#endif // MOE_LIB_REFERENCE_QUANTISE_H
