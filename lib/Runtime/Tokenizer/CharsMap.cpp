//===- CharsMap.cpp - SentencePiece's precompiled normalisation -----------===//
//
// Part of moe-mlir. DoubleArrayImpl::commonPrefixSearch of darts-clone, with
// every index checked.
//
//===----------------------------------------------------------------------===//

#include "CharsMap.h"

#include <cstring>

namespace moe::runtime {

// Fields of a unit of the double array.
static bool hasLeaf(uint32_t unit) { return unit >> 8 & 1; }
static uint32_t valueOf(uint32_t unit) { return unit & 0x7FFFFFFF; }
static uint32_t labelOf(uint32_t unit) { return unit & 0x800000FF; }
static uint32_t offsetOf(uint32_t unit) {
  return unit >> 10 << ((unit & 0x200) >> 6);
}

Result<CharsMap> CharsMap::parse(std::string_view blob) {
  CharsMap map;
  if (blob.empty())
    return map;
  uint32_t size = 0;
  if (blob.size() < sizeof size)
    return fail("normalizer_spec.precompiled_charsmap is cut");
  std::memcpy(&size, blob.data(), sizeof size);
  blob.remove_prefix(sizeof size);
  if (size > blob.size() || size % sizeof(uint32_t) != 0 || size == 0)
    return fail("normalizer_spec.precompiled_charsmap: its table of ", size,
                " bytes does not fit");
  map.units.resize(size / sizeof(uint32_t));
  std::memcpy(map.units.data(), blob.data(), size);
  map.replacements = blob.substr(size);
  return map;
}

std::optional<CharsMap::Match>
CharsMap::longestPrefix(std::string_view text) const {
  std::optional<Match> best;
  if (units.empty())
    return best;
  uint32_t node = offsetOf(units[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units.size() || labelOf(units[node]) != byte)
      break;
    uint32_t unit = units[node];
    node ^= offsetOf(unit);
    if (!hasLeaf(unit) || node >= units.size())
      continue;
    uint32_t at = valueOf(units[node]);
    if (at >= replacements.size())
      continue;
    std::string_view rest = std::string_view(replacements).substr(at);
    best = {i + 1, rest.substr(0, rest.find('\0'))};
  }
  return best;
}

} // namespace moe::runtime
