//===- HostThreads.cpp - How many threads -------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "HostThreads.h"

#include <algorithm>
#include <fstream>
#include <sched.h>
#include <set>
#include <string>

namespace moe::runtime {

int64_t defaultThreads() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return 1;
  // CPUs of one core print the same list of siblings.
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed))
      continue;
    std::string siblings = "cpu" + std::to_string(cpu);
    std::ifstream file("/sys/devices/system/cpu/" + siblings +
                       "/topology/thread_siblings_list");
    std::getline(file, siblings);
    cores.insert(siblings);
  }
  return std::max<int64_t>(1, int64_t(cores.size()));
}

} // namespace moe::runtime
