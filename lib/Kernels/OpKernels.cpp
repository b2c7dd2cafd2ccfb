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

namespace moec::kernels {
int64_t routerScratchBytes(mlir::moe::RouterOp op, const Target &target);
int64_t routeScratchBytes(mlir::moe::RouteOp op, const Target &target);
} // namespace moec::kernels

static int64_t weightScratch(Value weight, const Target &target) {
  return matmulScratchBytes(target, PackedWeight::of(weight).paddedK());
}

int64_t moec::kernels::getScratchBytes(Operation *op, const Target &target) {
  return TypeSwitch<Operation *, int64_t>(op)
      .Case<lm::LinearOp, lm::GatedLinearOp, mlir::moe::GroupedMatmulOp>(
          [&](auto linear) {
            return weightScratch(linear.getWeight(), target);
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
      .Case([](lm::AttentionOp attention) {
        return attentionScratchBytes(attention);
      })
      .Default([](Operation *) { return int64_t(0); });
}

static bool hasRouterKernel(mlir::moe::RouterConfigAttr config,
                            std::string &reason) {
  if (config.getScore() == mlir::moe::Score::SparseMixer) {
    reason = "score = sparse_mixer";
    return false;
  }
  double p = config.getPOr(2);
  if (config.getRenormalize() == mlir::moe::Renormalize::Lp && p != 1 &&
      p != 2) {
    reason = "renormalize = lp with p other than 1 or 2";
    return false;
  }
  return true;
}

bool moec::kernels::hasKernel(Operation *op, std::string &reason) {
  return TypeSwitch<Operation *, bool>(op)
      .Case<mlir::moe::RouterOp, mlir::moe::RouteOp>([&](auto router) {
        return hasRouterKernel(router.getConfig(), reason);
      })
      .Case([&](mlir::moe::DispatchOp dispatch) {
        reason = "a capacity";
        return dispatch.getOverflow() == mlir::moe::Overflow::None;
      })
      .Case([&](mlir::moe::GroupedMatmulOp grouped) {
        reason = "row_scale";
        return !grouped.getRowScale();
      })
      .Case([&](mlir::moe::CombineOp combine) {
        reason = "identity experts";
        return !combine.getIdentity();
      })
      .Case<lm::EmbeddingOp, lm::RMSNormOp, lm::LayerNormOp, lm::AddOp,
            lm::ActivateOp, lm::GatedOp, lm::ScaledAddOp, lm::LastRowsOp,
            lm::RopeTableOp, lm::RopeOp, lm::AppendOp, lm::AttentionOp,
            lm::LinearOp, lm::GatedLinearOp, mlir::moe::RecordOp>(
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
            mlir::moe::CombineOp, mlir::moe::RecordOp>(
          [&](auto concrete) { emitKernel(e, concrete, slot); })
      .Default([](Operation *) { llvm_unreachable("op without a kernel"); });
}
