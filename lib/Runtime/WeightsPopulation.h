//===- WeightsPopulation.h - Reads the weights ahead of their use -*- C++ -*-=//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_WEIGHTSPOPULATION_H
#define MOE_RUNTIME_WEIGHTSPOPULATION_H

#include "moe/Runtime/PayloadReader.h"

#include <thread>

namespace moe::runtime {

/// Maps the pages of file-mapped weights in the background, front to back,
/// which is the order of the layers. Says so on stderr where it takes more than
/// a second, and warns instead of reading where the weights exceed the
/// available memory: then every page would only push out another one.
class WeightsPopulation {
public:
  /// `weights` must stay mapped for the life of this object.
  WeightsPopulation(Bytes weights, bool quiet);

  /// Returns once all of it is there.
  void wait();

private:
  std::jthread worker;
};

/// MemAvailable of a /proc/meminfo text in bytes, or -1.
int64_t parseAvailableMemory(const std::string &meminfo);

} // namespace moe::runtime

#endif // MOE_RUNTIME_WEIGHTSPOPULATION_H
