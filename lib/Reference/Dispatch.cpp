//===- Dispatch.cpp - From ids to a plan ----------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"
#include "Routing.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace moec::reference;
using mlir::moe::Overflow;

/// Groups choices by expert, in ascending order of token and slot.
static Plan makePlan(const Tensor &ids, int64_t experts,
                     const std::vector<bool> &isKept) {
  Plan plan;
  plan.experts = experts;
  plan.slots = ids.columns();
  plan.tokens = ids.rows();
  plan.row.assign(ids.data.size(), -1);
  plan.offsets.push_back(0);
  for (int64_t e = 0; e < experts; ++e) {
    for (size_t choice = 0; choice < ids.data.size(); ++choice)
      if (ids[choice] == e && isKept[choice]) {
        plan.row[choice] = plan.choice.size();
        plan.choice.push_back(choice);
      }
    plan.offsets.push_back(plan.choice.size());
  }
  return plan;
}

Plan moec::reference::planDropless(const Tensor &ids, int64_t experts) {
  return makePlan(ids, experts, std::vector<bool>(ids.data.size(), true));
}

/// Choices in the order in which a full expert serves them.
static std::vector<int64_t> orderOfService(const Tensor &ids,
                                           const Tensor *weights,
                                           Overflow overflow) {
  int64_t k = ids.columns();
  std::vector<int64_t> order(ids.data.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](int64_t a, int64_t b) {
    if (overflow == Overflow::SlotMajor && a % k != b % k)
      return a % k < b % k;
    if (overflow == Overflow::Probability) {
      double wa = (*weights)[a], wb = (*weights)[b];
      if (isGreaterKey(wa, wb) || isGreaterKey(wb, wa))
        return isGreaterKey(wa, wb);
    }
    // Token order, also among equal weights.
    return a < b;
  });
  return order;
}

static int64_t capacityOf(mlir::moe::DispatchOp op, const Tensor &ids) {
  int64_t capacity;
  if (op.getCapacity()) {
    capacity = *op.getCapacity();
  } else {
    double factor = op.getCapacityFactor()->convertToDouble();
    capacity = std::ceil(factor * ids.data.size() / op.getExperts());
  }
  return std::max<int64_t>(capacity, op.getMinCapacity());
}

LogicalResult moec::reference::evaluate(mlir::moe::DispatchOp op,
                                        Frame &frame) {
  const Tensor &ids = frame.tensor(op.getIds());
  int64_t experts = op.getExperts();
  for (double id : ids.data)
    if (id < 0)
      return op.emitOpError("negative id ") << int64_t(id);
  if (op.getOverflow() == Overflow::None) {
    frame.set(op->getResult(0), planDropless(ids, experts));
    return success();
  }
  const Tensor *weights = op.getWeights().empty()
                              ? nullptr
                              : &frame.tensor(op.getWeights().front());
  int64_t capacity = capacityOf(op, ids);
  std::vector<int64_t> taken(experts, 0);
  std::vector<bool> isKept(ids.data.size(), false);
  for (int64_t choice : orderOfService(ids, weights, op.getOverflow()))
    if (ids[choice] < experts && taken[ids[choice]] < capacity) {
      ++taken[ids[choice]];
      isKept[choice] = true;
    }
  frame.set(op->getResult(0), makePlan(ids, experts, isKept));
  return success();
}
