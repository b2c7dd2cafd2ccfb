//===- WeightsPopulation.cpp - Reads the weights ahead of their use -------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "WeightsPopulation.h"

#include "Commands/Output.h"
#include "moe/Runtime/Payload.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sys/mman.h>
#include <system_error>

// Linux 5.14; older C libraries do not know it.
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

namespace moe::runtime {

int64_t parseAvailableMemory(const std::string &meminfo) {
  size_t at = meminfo.find("MemAvailable:");
  long long kibibytes;
  if (at == meminfo.npos ||
      std::sscanf(meminfo.c_str() + at, "MemAvailable: %lld", &kibibytes) != 1)
    return -1;
  return int64_t(kibibytes) * 1024;
}

static int64_t availableMemory() {
  std::ifstream file("/proc/meminfo");
  return parseAvailableMemory(
      std::string(std::istreambuf_iterator<char>(file), {}));
}

static void populate(std::stop_token stop, Bytes weights, bool quiet) {
  constexpr size_t step = size_t(64) << 20;
  // Sections start at page borders.
  auto *address = const_cast<std::byte *>(weights.data());
  auto start = std::chrono::steady_clock::now();
  for (size_t at = 0; at < weights.size() && !stop.stop_requested();
       at += step) {
    size_t size = std::min(step, weights.size() - at);
    if (madvise(address + at, size, MADV_POPULATE_READ) != 0) {
      madvise(address + at, weights.size() - at, MADV_WILLNEED);
      return;
    }
    if (quiet || std::chrono::steady_clock::now() - start <
                     std::chrono::seconds(1))
      continue;
    std::cerr << "reading " + sizeText(int64_t(weights.size())) +
                     " of weights in the background\n"
              << std::flush;
    quiet = true;
  }
}

WeightsPopulation::WeightsPopulation(Bytes weights, bool quiet) {
  int64_t available = availableMemory();
  int64_t size = int64_t(weights.size());
  if (available >= 0 && size > available) {
    std::cerr << "warning: the weights (" << sizeText(size)
              << ") exceed the available memory (" << sizeText(available)
              << ") by " << sizeText(size - available)
              << "; they will be read from disk again and again" << std::endl;
    return;
  }
  try {
    worker = std::jthread(populate, weights, quiet);
  } catch (const std::system_error &) {
    // No thread to be had: pages are read when they are used.
  }
}

void WeightsPopulation::wait() {
  if (worker.joinable())
    worker.join();
}

} // namespace moe::runtime
