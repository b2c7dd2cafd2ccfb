//===- QuantisedError.h - What quantisation makes of an error ---*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PIPELINES_QUANTISEDERROR_H
#define MOE_TEST_UNIT_PIPELINES_QUANTISEDERROR_H

#include "moe/Reference/Tensor.h"

namespace moec::test {

/// Rows as a product with some weight reads them.
struct ReadRows {
  reference::Tensor x, error;
};

/// Quantises rows whose elements may be off by `error`, where the weight reads
/// them so: an integer may be off by one where the error reaches a tie.
ReadRows readRows(const reference::Tensor &x, const reference::Tensor &error,
                  const reference::Tensor &weight);

/// Largest sum of the magnitudes of what a weight's element k is made of: the
/// element itself, or of a format with a minimum scale * code and minimum,
/// neither more than the group's range, where a product adds them apart.
double partsOf(const reference::Tensor &weight, const double *row, int64_t k);

} // namespace moec::test

#endif // MOE_TEST_UNIT_PIPELINES_QUANTISEDERROR_H
