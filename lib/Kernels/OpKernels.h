//===- OpKernels.h - One emitter for each op in buffer form -----*- C++ -*-===//
//
// Part of moe-mlir. Each emitter writes this slot's share of the op's work, at
// the insertion point. A slot is one of `slots` equal parts; threads execute
// slots, and no result depends on their number.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_KERNELS_OPKERNELS_H
#define MOE_LIB_KERNELS_OPKERNELS_H

#include "Emitter.h"
#include "dialects/LM/IR/LMDialect.h"
#include "dialects/MoE/IR/MoEDialect.h"

namespace moec::kernels {

struct Slot {
  mlir::Value number, count, scratch;
};

// Rows.cpp
void emitKernel(Emitter &e, mlir::lm::EmbeddingOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::lm::RMSNormOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::lm::LayerNormOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::lm::AddOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::lm::ActivateOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::lm::GatedOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::lm::ScaledAddOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::lm::LastRowsOp op, const Slot &slot);
// Rope.cpp
void emitKernel(Emitter &e, mlir::lm::RopeTableOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::lm::RopeOp op, const Slot &slot);
// Attention.cpp
/// On an attention op of which a kernel computes only the states of segments.
inline constexpr llvm::StringLiteral kSegmentsFirstAttr = "lm.segments_first";
/// Whether the op needs that kernel before its own, known at run time.
mlir::Value needsSegmentsFirst(Emitter &e, mlir::lm::AttentionOp op,
                               mlir::Value slots, mlir::Value scratch);
/// Its kernels are given the scratch of all slots.
void emitKernel(Emitter &e, mlir::lm::AttentionOp op, const Slot &slot);
int64_t attentionScratchBytes(mlir::lm::AttentionOp op);
// KVCache.cpp
void emitKernel(Emitter &e, mlir::lm::AppendOp op, const Slot &slot);
// Linear.cpp
/// Panels from which a dense product is cut by columns.
inline constexpr int64_t kColumnCutPanels = 16;
void emitKernel(Emitter &e, mlir::lm::LinearOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::lm::GatedLinearOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::moe::GroupedMatmulOp op, const Slot &slot);
// Router.cpp
void emitKernel(Emitter &e, mlir::moe::RouterOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::moe::RouteOp op, const Slot &slot);
int64_t routerScratchBytes(mlir::moe::RouterOp op, const Target &target);
int64_t routeScratchBytes(mlir::moe::RouteOp op, const Target &target);
// Dispatch.cpp
void emitKernel(Emitter &e, mlir::moe::DispatchOp op, const Slot &slot);
// Combine.cpp
void emitKernel(Emitter &e, mlir::moe::CombineOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::moe::RecordOp op, const Slot &slot);
// Losses.cpp
void emitKernel(Emitter &e, mlir::moe::LoadBalanceLossOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::moe::ZLossOp op, const Slot &slot);
void emitKernel(Emitter &e, mlir::moe::ImportanceLossOp op, const Slot &slot);
int64_t lossScratchBytes(mlir::moe::LoadBalanceLossOp op);
int64_t lossScratchBytes(mlir::moe::ImportanceLossOp op);

/// True for ops in buffer form that become kernels.
bool isKernelOp(mlir::Operation *op);
/// Bytes of scratch an op's kernel needs a slot.
int64_t getScratchBytes(mlir::Operation *op, const Target &target);
/// True if an op in buffer form has a kernel; false with a reason otherwise.
bool hasKernel(mlir::Operation *op, std::string &reason);
/// Emits the kernel of `op`.
void emitKernelOf(Emitter &e, mlir::Operation *op, const Slot &slot);

} // namespace moec::kernels

#endif // MOE_LIB_KERNELS_OPKERNELS_H
