//===- config.cpp - Fuzz config.json --------------------------------------===//
//
// Part of moe-mlir. A config that is accepted must have finite RoPE frequencies
// and weights whose sizes do not overflow.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/WeightMap.h"

#include <cmath>
#include <cstdlib>

namespace {

void check(bool condition) {
  if (!condition)
    std::abort();
}

void checkConfig(const moe::ModelConfig &config) {
  check(config.invFreq.size() == static_cast<size_t>(config.headDim / 2));
  for (float frequency : config.invFreq)
    check(std::isfinite(frequency));
  check(std::isfinite(config.attentionScaling));
  check(config.heads % config.kvHeads == 0);
  for (const moe::LayerConfig &layer : config.layers)
    check(layer.topK <= layer.experts);
  moe::ParameterCount count = moe::countParameters(config);
  check(count.total > 0 && count.active > 0 && count.active <= count.total);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  auto config = moe::parseModelConfig(text, "input");
  if (config) {
    checkConfig(*config);
    return 0;
  }
  check(llvm::toString(config.takeError()).find('\n') == std::string::npos);
  return 0;
}
