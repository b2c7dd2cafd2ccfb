//===- QuantisedError.cpp - What quantisation makes of an error -----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "QuantisedError.h"

#include "dialects/LM/IR/WeightFormat.h"
#include "lib/Reference/Quantise.h"

#include <cmath>

using namespace moec;
using namespace moec::reference;
using mlir::lm::kGroup;
using mlir::lm::QuantisedLayout;

/// Of what has one scale. Its scale may be off by the largest error over 127.
static void quantisedError(const double *x, const double *error,
                           const double *quantised, int64_t count,
                           double *result) {
  double most = 0, off = 0;
  for (int64_t i = 0; i < count; ++i) {
    most = std::max(most, std::abs(x[i]));
    off = std::max(off, error[i]);
  }
  double scale = most / 127, largest = (most + off) / 127;
  for (int64_t i = 0; i < count; ++i) {
    if (off == 0) {
      result[i] = 0;
      continue;
    }
    // Twice what may move x over the scale, for the rounding of both.
    double q = x[i] / scale;
    double moved = 2 * (error[i] / scale + std::abs(q) * off / most) + 1e-4;
    bool mayDiffer =
        most <= 2 * off || std::abs(q - std::floor(q) - 0.5) <= moved;
    double integer = std::abs(quantised[i]) / scale;
    result[i] = most <= 2 * off ? 2 * off + 2 * largest
                                : 1.01 * integer * off / 127 +
                                      (mayDiffer ? 1.01 * largest : 0);
  }
}

test::ReadRows test::readRows(const Tensor &x, const Tensor &error,
                              const Tensor &weight) {
  if (!weight.format || weight.readsFloats)
    return {x, error};
  ReadRows result{rowsFor(x, weight), Tensor(Element::F64, x.shape)};
  int64_t span = QuantisedLayout::of(*weight.format).span(x.columns());
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t k = 0; k < x.columns(); k += span) {
      int64_t at = t * x.columns() + k;
      quantisedError(&x.data[at], &error.data[at], &result.x.data[at],
                     std::min(span, x.columns() - k), &result.error.data[at]);
    }
  return result;
}

double test::partsOf(const Tensor &weight, const double *row, int64_t k) {
  if (weight.format != mlir::lm::Format::Int4Min || weight.readsFloats)
    return std::abs(row[k]);
  double most = 0;
  int64_t first = k / kGroup * kGroup;
  for (int64_t i = first; i < std::min(first + kGroup, weight.columns()); ++i)
    most = std::max(most, std::abs(row[i]));
  // Behind the last column lie zeros: 0 is in the range.
  return 4 * most;
}
