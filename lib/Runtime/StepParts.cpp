//===- StepParts.cpp - What the kernels of a step cost --------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/StepParts.h"

#include <algorithm>
#include <cmath>

namespace moe::runtime {

/// Sum over the call's tokens of the positions that each of them sees.
static double seenPositions(const CallShape &call, int64_t window) {
  double first = double(call.position) + 1;
  double last = double(call.position + call.tokens);
  if (window <= 0 || last <= double(window))
    return (first + last) * double(call.tokens) / 2;
  if (first >= double(window))
    return double(window) * double(call.tokens);
  double growing = double(window) - first;
  return (first + double(window) - 1) * growing / 2 +
         double(window) * (double(call.tokens) - growing);
}

/// Positions that any of the call's tokens sees.
static int64_t readPositions(const CallShape &call, int64_t window) {
  int64_t first =
      window > 0 ? std::max<int64_t>(call.position + 1 - window, 0) : 0;
  return call.position + call.tokens - first;
}

PartWork workOf(const StepPart &part, const CallShape &call, double experts) {
  int64_t rows = part.lastRows ? call.rows : call.tokens;
  if (rows == 0)
    return {};
  PartWork work;
  work.bytes = double(part.bytes) + double(part.rowBytes) * double(rows) +
               double(part.expertBytes) * experts;
  work.flops = double(part.rowFlops) * double(rows);
  if (part.positionFlops)
    work.flops += double(part.positionFlops) * seenPositions(call, part.window);
  if (!part.cacheBytes.empty())
    work.bytes += double(part.cacheBytes[call.keyType] +
                         part.cacheBytes[call.valueType]) *
                  double(readPositions(call, part.window));
  return work;
}

double expectedExperts(int64_t tokens, int64_t topK, int64_t experts) {
  if (experts <= 0)
    return 0;
  double missed = 1 - double(std::min(topK, experts)) / double(experts);
  return double(experts) * (1 - std::pow(missed, double(tokens)));
}

} // namespace moe::runtime
