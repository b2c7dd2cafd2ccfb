//===- MoETypes.cpp - Types and attributes of the moe dialect -------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "dialects/MoE/IR/MoEDialect.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::moe;

#define GET_ATTRDEF_CLASSES
#include "dialects/MoE/IR/MoEAttributes.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/MoE/IR/MoETypes.cpp.inc"

void MoEDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/MoE/IR/MoETypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/MoE/IR/MoEAttributes.cpp.inc"
      >();
}

LogicalResult PlanType::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t experts, int64_t slots) {
  if (experts < 1 || slots < 1)
    return emitError() << "plan: experts and slots must be positive, got "
                       << experts << " and " << slots;
  return success();
}

LogicalResult RouterConfigAttr::verify(
    function_ref<InFlightDiagnostic()> emitError, Score score, SelectKey select,
    int64_t topK, int64_t groups, int64_t topGroups, GroupScore groupScore,
    MaskedKey masked, Renormalize renormalize, FloatAttr p, FloatAttr eps,
    FloatAttr scale) {
  if (topK < 1)
    return emitError() << "router: top_k must be at least 1, got " << topK;
  if (groups < 1)
    return emitError() << "router: groups must be at least 1, got " << groups;
  if (topGroups < 1 || topGroups > groups)
    return emitError() << "router: top_groups must lie between 1 and groups ("
                       << groups << "), got " << topGroups;
  if (p && renormalize != Renormalize::Lp)
    return emitError() << "router: p is only for renormalize = lp";
  if (p && !(p.getValueAsDouble() > 0))
    return emitError() << "router: p must be positive";
  if (eps && !(eps.getValueAsDouble() >= 0))
    return emitError() << "router: eps must not be negative";
  if (score == Score::SparseMixer && topK != 2)
    return emitError() << "router: sparse_mixer chooses 2 experts, got top_k = "
                       << topK;
  if (score == Score::SparseMixer &&
      (select != SelectKey::ByScore || groups != 1 ||
       renormalize != Renormalize::None))
    return emitError() << "router: sparse_mixer takes no select, groups or "
                          "renormalize";
  return success();
}

LogicalResult
RouterConfigAttr::verifyExperts(function_ref<InFlightDiagnostic()> emitError,
                                int64_t experts) const {
  if (getTopK() > experts)
    return emitError() << "top_k (" << getTopK()
                       << ") must be at most the number of experts (" << experts
                       << ")";
  if (experts % getGroups())
    return emitError() << "groups (" << getGroups()
                       << ") must divide the number of experts (" << experts
                       << ")";
  if (getGroupScore() == GroupScore::TopTwoSum && getGroups() > 1 &&
      experts / getGroups() < 2)
    return emitError() << "group_score = top2_sum needs groups of two experts "
                          "or more";
  return success();
}
