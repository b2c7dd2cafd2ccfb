//===- OpKernels.cpp - From an op to its kernel ---------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "OpKernels.h"
#include "Matmul.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moec::kernels;
namespace lm = mlir::lm;

bool moec::kernels::isKernelOp(Operation *op) {
  if (isa<lm::TwoFormsOpInterface>(op))
    return op->getNumResults() == 0;
  return isa<lm::AppendOp, mlir::moe::RecordOp>(op);
}

int64_t moec::kernels::getScratchBytes(Operation *op, const Target &target) {
  return TypeSwitch<Operation *, int64_t>(op)
      .Case<lm::LinearOp, lm::GatedLinearOp, mlir::moe::GroupedMatmulOp>(
          [&](auto linear) {
            return matmulScratchBytes(target, PackedWeight::of(linear));
          })
      .Case([&](mlir::moe::RouterOp router) {
        return routerScratchBytes(router, target);
      })
      .Case([&](mlir::moe::RouteOp route) {
        return routeScratchBytes(route, target);
      })
      .Case([](mlir::moe::DispatchOp dispatch) {
        return int64_t(dispatch.getExperts()) * 4;
      })
      .Case<mlir::moe::LoadBalanceLossOp, mlir::moe::ImportanceLossOp>(
          [](auto loss) { return lossScratchBytes(loss); })
      .Case([](lm::AttentionOp attention) {
        return attentionScratchBytes(attention);
      })
      .Default([](Operation *) { return int64_t(0); });
}

bool moec::kernels::hasKernel(Operation *op, std::string &reason) {
  return TypeSwitch<Operation *, bool>(op)
      .Case([&](mlir::moe::RouteOp route) {
        reason = "a plan, which moe-split-phases parts off";
        return route.getOuts().size() == 2;
      })
      .Case<lm::EmbeddingOp, lm::RMSNormOp, lm::LayerNormOp, lm::AddOp,
            lm::ActivateOp, lm::GatedOp, lm::ScaledAddOp, lm::LastRowsOp,
            lm::RopeTableOp, lm::RopeOp, lm::AppendOp, lm::AttentionOp,
            lm::LinearOp, lm::GatedLinearOp, mlir::moe::GroupedMatmulOp,
            mlir::moe::RouterOp, mlir::moe::DispatchOp, mlir::moe::CombineOp,
            mlir::moe::RecordOp, mlir::moe::LoadBalanceLossOp,
            mlir::moe::ZLossOp, mlir::moe::ImportanceLossOp>(
          [](auto) { return true; })
      .Default([&](Operation *) {
        reason = "no kernel builder";
        return false;
      });
}

void moec::kernels::emitKernelOf(Emitter &e, Operation *op, const Slot &slot) {
  TypeSwitch<Operation *>(op)
      .Case<lm::EmbeddingOp, lm::RMSNormOp, lm::LayerNormOp, lm::AddOp,
            lm::ActivateOp, lm::GatedOp, lm::ScaledAddOp, lm::LastRowsOp,
            lm::RopeTableOp, lm::RopeOp, lm::AppendOp, lm::AttentionOp,
            lm::LinearOp, lm::GatedLinearOp, mlir::moe::GroupedMatmulOp,
            mlir::moe::RouterOp, mlir::moe::RouteOp, mlir::moe::DispatchOp,
            mlir::moe::CombineOp, mlir::moe::RecordOp,
            mlir::moe::LoadBalanceLossOp, mlir::moe::ZLossOp,
            mlir::moe::ImportanceLossOp>(
          [&](auto concrete) { emitKernel(e, concrete, slot); })
      .Default([](Operation *) { llvm_unreachable("op without a kernel"); });
}
