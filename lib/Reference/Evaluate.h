//===- Evaluate.h - The meaning of every op ---------------------*- C++ -*-===//
//
// Part of moe-mlir. One overload an op: reads operands from the frame, sets
// the op's results.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_REFERENCE_EVALUATE_H
#define MOE_LIB_REFERENCE_EVALUATE_H

#include "Frame.h"

#include "dialects/LM/IR/LMDialect.h"
#include "dialects/MoE/IR/MoEDialect.h"

namespace moec::reference {

using mlir::LogicalResult;

// Rows.cpp
LogicalResult evaluate(mlir::lm::EmbeddingOp op, Frame &frame);
LogicalResult evaluate(mlir::lm::RMSNormOp op, Frame &frame);
LogicalResult evaluate(mlir::lm::LayerNormOp op, Frame &frame);
LogicalResult evaluate(mlir::lm::AddOp op, Frame &frame);
LogicalResult evaluate(mlir::lm::ActivateOp op, Frame &frame);
LogicalResult evaluate(mlir::lm::GatedOp op, Frame &frame);
LogicalResult evaluate(mlir::lm::ScaledAddOp op, Frame &frame);
LogicalResult evaluate(mlir::lm::LastRowsOp op, Frame &frame);
// Products.cpp
LogicalResult evaluate(mlir::lm::LinearOp op, Frame &frame);
LogicalResult evaluate(mlir::lm::GatedLinearOp op, Frame &frame);
// Position.cpp
LogicalResult evaluate(mlir::lm::RopeTableOp op, Frame &frame);
LogicalResult evaluate(mlir::lm::RopeOp op, Frame &frame);
// Attention.cpp
LogicalResult evaluate(mlir::lm::AttentionOp op, Frame &frame);
LogicalResult evaluate(mlir::lm::AppendOp op, Frame &frame);
// Layer.cpp
LogicalResult evaluate(mlir::moe::LayerOp op, Frame &frame);
// Router.cpp
LogicalResult evaluate(mlir::moe::RouterOp op, Frame &frame);
LogicalResult evaluate(mlir::moe::RouteOp op, Frame &frame);
// Dispatch.cpp
LogicalResult evaluate(mlir::moe::DispatchOp op, Frame &frame);
// Experts.cpp
LogicalResult evaluate(mlir::moe::GroupedMatmulOp op, Frame &frame);
LogicalResult evaluate(mlir::moe::ExpertFFNOp op, Frame &frame);
LogicalResult evaluate(mlir::moe::CombineOp op, Frame &frame);
// Losses.cpp
LogicalResult evaluate(mlir::moe::LoadBalanceLossOp op, Frame &frame);
LogicalResult evaluate(mlir::moe::ZLossOp op, Frame &frame);
LogicalResult evaluate(mlir::moe::ImportanceLossOp op, Frame &frame);

} // namespace moec::reference

#endif // MOE_LIB_REFERENCE_EVALUATE_H
