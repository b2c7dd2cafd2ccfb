//===- Rows.cpp - Embedding, norms and elementwise ops --------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Activation.h"
#include "Evaluate.h"
#include "Products.h"

#include <cmath>

using namespace mlir;
using namespace moec::reference;

LogicalResult moec::reference::evaluate(lm::EmbeddingOp op, Frame &frame) {
  const Tensor &tokens = frame.tensor(op.getTokens());
  const Tensor &table = frame.tensor(op.getTable());
  double scale = op.getScale().convertToDouble();
  Tensor result = Frame::makeResult(op->getResult(0), tokens.rows());
  for (int64_t t = 0; t < tokens.rows(); ++t) {
    int64_t token = tokens[t];
    if (token < 0 || token >= table.rows())
      return op.emitOpError("token ")
             << token << " lies outside the table's " << table.rows()
             << " rows";
    for (int64_t c = 0; c < table.columns(); ++c)
      result.at(t, c) = scale * table.at(token, c);
  }
  frame.set(op->getResult(0), std::move(result));
  return success();
}

LogicalResult moec::reference::evaluate(lm::RMSNormOp op, Frame &frame) {
  const Tensor &x = frame.tensor(op.getX());
  const Tensor &weight = frame.tensor(op.getWeight());
  double eps = op.getEps().convertToDouble();
  int64_t groups = op.getGroups(), width = x.columns() / groups;
  Tensor result = Frame::makeResult(op->getResult(0), x.rows());
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t g = 0; g < groups; ++g) {
      double squares = 0;
      for (int64_t c = 0; c < width; ++c)
        squares += x.at(t, g * width + c) * x.at(t, g * width + c);
      double factor = 1 / std::sqrt(squares / width + eps);
      for (int64_t c = 0; c < width; ++c)
        result.at(t, g * width + c) = clipped(
            x.at(t, g * width + c) * factor * weight[c], op.getClip());
    }
  frame.set(op->getResult(0), std::move(result));
  return success();
}

LogicalResult moec::reference::evaluate(lm::LayerNormOp op, Frame &frame) {
  const Tensor &x = frame.tensor(op.getX());
  const Tensor &weight = frame.tensor(op.getWeight());
  const Tensor *bias = frame.optionalTensor(op.getBias());
  double eps = op.getEps().convertToDouble();
  int64_t columns = x.columns();
  Tensor result = Frame::makeResult(op->getResult(0), x.rows());
  for (int64_t t = 0; t < x.rows(); ++t) {
    double mean = 0, variance = 0;
    for (int64_t c = 0; c < columns; ++c)
      mean += x.at(t, c) / columns;
    for (int64_t c = 0; c < columns; ++c)
      variance += (x.at(t, c) - mean) * (x.at(t, c) - mean) / columns;
    double factor = 1 / std::sqrt(variance + eps);
    for (int64_t c = 0; c < columns; ++c)
      result.at(t, c) = (x.at(t, c) - mean) * factor * weight[c] +
                        (bias ? (*bias)[c] : 0);
  }
  frame.set(op->getResult(0), std::move(result));
  return success();
}

LogicalResult moec::reference::evaluate(lm::AddOp op, Frame &frame) {
  const Tensor &lhs = frame.tensor(op.getLhs());
  const Tensor &rhs = frame.tensor(op.getRhs());
  if (lhs.shape != rhs.shape)
    return op.emitOpError("(add_c1) operands have shapes ")
           << lhs.getTypeName() << " and " << rhs.getTypeName();
  Tensor result = Frame::makeResult(op->getResult(0), lhs.rows());
  for (size_t i = 0; i < lhs.data.size(); ++i)
    result[i] = lhs[i] + rhs[i];
  frame.set(op->getResult(0), std::move(result));
  return success();
}

LogicalResult moec::reference::evaluate(lm::ActivateOp op, Frame &frame) {
  const Tensor &x = frame.tensor(op.getX());
  Tensor result = Frame::makeResult(op->getResult(0), x.rows());
  for (size_t i = 0; i < x.data.size(); ++i)
    result[i] = activate(op.getFunction(), x[i]);
  frame.set(op->getResult(0), std::move(result));
  return success();
}

LogicalResult moec::reference::evaluate(lm::GatedOp op, Frame &frame) {
  const Tensor &x = frame.tensor(op.getX());
  Tensor result = Frame::makeResult(op->getResult(0), x.rows());
  int64_t width = result.columns();
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t c = 0; c < width; ++c)
      result.at(t, c) =
          activate(op.getFunction(), x.at(t, c)) * x.at(t, width + c);
  frame.set(op->getResult(0), std::move(result));
  return success();
}

LogicalResult moec::reference::evaluate(lm::ScaledAddOp op, Frame &frame) {
  const Tensor &acc = frame.tensor(op.getAcc());
  const Tensor &y = frame.tensor(op.getY());
  const Tensor &scale = frame.tensor(op.getScale());
  if (acc.shape != y.shape || scale.rows() != acc.rows())
    return op.emitOpError("(scaled_add_c1) acc, y and scale have shapes ")
           << acc.getTypeName() << ", " << y.getTypeName() << " and "
           << scale.getTypeName();
  Tensor result = Frame::makeResult(op->getResult(0), acc.rows());
  for (int64_t t = 0; t < acc.rows(); ++t) {
    double factor = activate(op.getFunction(), scale.at(t, 0));
    for (int64_t c = 0; c < acc.columns(); ++c)
      result.at(t, c) = acc.at(t, c) + factor * y.at(t, c);
  }
  frame.set(op->getResult(0), std::move(result));
  return success();
}

LogicalResult moec::reference::evaluate(lm::LastRowsOp op, Frame &frame) {
  const Tensor &x = frame.tensor(op.getX());
  int64_t rows = frame.index(op.getRows());
  if (rows < 0 || rows > x.rows())
    return op.emitOpError("asks for the last ")
           << rows << " of " << x.rows() << " rows";
  Tensor result = Frame::makeResult(op->getResult(0), rows);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < x.columns(); ++c)
      result.at(r, c) = x.at(x.rows() - rows + r, c);
  frame.set(op->getResult(0), std::move(result));
  return success();
}
