//===- FlagCheck.cpp - Unknown flags and what they meant ------------------===//
//
// Part of moe-mlir. CLI11 would take -ngl for -n with the value "gl"; this
// runs before it.
//
//===----------------------------------------------------------------------===//

#include "FlagCheck.h"

#include <algorithm>
#include <cctype>

namespace moe::runtime {

/// Insertions, deletions and replacements that turn `a` into `b`.
static size_t editDistance(const std::string &a, const std::string &b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

std::string nearest(const std::string &word,
                    const std::vector<std::string> &candidates) {
  std::string best;
  size_t bestDistance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string &candidate : candidates) {
    // "--temperature" is far from "--temp" by letters, near by meaning.
    bool extends = candidate.size() > 3 && (word.starts_with(candidate) ||
                                            candidate.starts_with(word));
    size_t distance = extends ? 1 : editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

static const FlagNames *findFlag(const std::string &name,
                                 std::span<const FlagNames> flags) {
  for (const FlagNames &flag : flags)
    if (std::ranges::find(flag.names, name) != flag.names.end())
      return &flag;
  return nullptr;
}

/// "-n16": a short flag with its value in the same word.
static bool hasAttachedValue(const std::string &word,
                             std::span<const FlagNames> flags) {
  if (word.size() < 3 || word[1] == '-')
    return false;
  const FlagNames *flag = findFlag(word.substr(0, 2), flags);
  char first = word[2];
  return flag && flag->takesValue &&
         (std::isdigit(static_cast<unsigned char>(first)) || first == '-' ||
          first == '=');
}

static std::unexpected<Error> unknownFlag(const std::string &name,
                                          std::span<const FlagNames> flags) {
  std::vector<std::string> all;
  for (const FlagNames &flag : flags)
    all.insert(all.end(), flag.names.begin(), flag.names.end());
  std::string meant = nearest(name, all);
  return fail("unknown flag '", name, "'",
              meant.empty() ? "; --help lists them"
                            : "; did you mean '" + meant + "'?");
}

Result<void> checkFlags(std::span<const std::string> arguments,
                        std::span<const FlagNames> flags) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string &word = arguments[i];
    if (!word.starts_with('-') || word == "-")
      return fail("unexpected argument '", word, "'");
    size_t equals = word.starts_with("--") ? word.find('=') : word.npos;
    std::string name = word.substr(0, equals);
    if (const FlagNames *flag = findFlag(name, flags)) {
      if (flag->takesValue && equals == word.npos && ++i == arguments.size())
        return fail("'", name, "' needs a value");
      continue;
    }
    if (!hasAttachedValue(word, flags))
      return unknownFlag(name, flags);
  }
  return {};
}

} // namespace moe::runtime
