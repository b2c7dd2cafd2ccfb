//===- Position.cpp - Rotary position embedding ---------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include <cmath>

using namespace mlir;
using namespace moec::reference;

LogicalResult moec::reference::evaluate(lm::RopeTableOp op, Frame &frame) {
  const Tensor &frequencies = frame.tensor(op.getInvFreq());
  int64_t position = frame.index(op.getPosition());
  int64_t tokens = frame.tensor(op.getTokens()).rows();
  int64_t n = frequencies.rows();
  double scale = op.getScale().convertToDouble();
  Tensor result = Frame::makeResult(op->getResult(0), tokens);
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < n; ++i) {
      // transformers multiplies in f32: at position 10000 the angle's error
      // shows in the third digit of its cosine.
      double wide = double(float(position + t)) * frequencies[i];
      double angle = roundTo(Element::F32, wide);
      result.at(t, i) = scale * std::cos(angle);
      result.at(t, n + i) = scale * std::sin(angle);
    }
  frame.set(op->getResult(0), std::move(result));
  return success();
}

LogicalResult moec::reference::evaluate(lm::RopeOp op, Frame &frame) {
  const Tensor &x = frame.tensor(op.getX());
  const Tensor &table = frame.tensor(op.getTable());
  if (table.rows() != x.rows())
    return op.emitOpError("(rope_c4) the table has ")
           << table.rows() << " rows, x has " << x.rows();
  int64_t heads = op.getHeads(), size = x.columns() / heads;
  int64_t n = table.columns() / 2;
  bool isAdjacent = op.getStyle() == lm::RopeStyle::Adjacent;
  Tensor result = Frame::makeResult(op->getResult(0), x.rows());
  result.data = x.data;
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t i = 0; i < n; ++i) {
        int64_t a = head * size + (isAdjacent ? 2 * i : i);
        int64_t b = isAdjacent ? a + 1 : a + n;
        double cosine = table.at(t, i), sine = table.at(t, n + i);
        result.at(t, a) = x.at(t, a) * cosine - x.at(t, b) * sine;
        result.at(t, b) = x.at(t, b) * cosine + x.at(t, a) * sine;
      }
  frame.set(op->getResult(0), std::move(result));
  return success();
}
