//===- CodeVersions.cpp - Which version of the code runs ------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "CodeVersions.h"

#include "Join.h"

#include <algorithm>
#include <optional>

namespace moe::runtime {

static std::string namesOf(std::span<const CodeVersion> versions) {
  std::vector<std::string> names;
  for (const CodeVersion &version : versions)
    names.push_back(version.target.cpu);
  return join(names);
}

Result<size_t> findVersion(std::span<const CodeVersion> versions,
                           const std::string &name) {
  if (name.empty())
    return 0;
  for (size_t i = 0; i < versions.size(); ++i)
    if (versions[i].target.cpu == name)
      return i;
  return fail("--isa ", name, ": this executable has code for ",
              namesOf(versions));
}

Result<size_t> chooseVersion(std::span<const CodeVersion> versions,
                             const std::string &asked, CpuQuestion missing) {
  size_t first = 0, count = versions.size();
  if (!asked.empty()) {
    Result<size_t> found = findVersion(versions, asked);
    if (!found)
      return found;
    first = *found;
    count = 1;
  }
  std::optional<size_t> best;
  size_t nearest = first;
  std::vector<std::string> lacking;
  for (size_t i = first; i < first + count; ++i) {
    const std::vector<std::string> &needed = versions[i].target.features;
    std::vector<std::string> lacks = missing(needed);
    if (lacks.empty() &&
        (!best || needed.size() >= versions[*best].target.features.size()))
      best = i;
    if (lacking.empty() || lacks.size() < lacking.size()) {
      nearest = i;
      lacking = std::move(lacks);
    }
  }
  if (best)
    return *best;
  std::string of = count == 1 ? "" : ", the nearest version,";
  std::string hint = count < versions.size()
                         ? "without --isa the best that fits runs"
                         : "moec --target=x86-64-v3 compiles for older CPUs";
  return fail("this CPU lacks ", join(lacking), ", which the code for ",
              versions[nearest].target.cpu, of, " needs; ", hint);
}

Result<void> checkTable(std::span<const CodeVersion> described,
                        std::span<const MoeCodeVersion> compiled) {
  auto same = [](const CodeVersion &a, const MoeCodeVersion &b) {
    return a.target.cpu == b.target;
  };
  if (std::ranges::equal(described, compiled, same)) {
    for (size_t i = 0; i < compiled.size(); ++i)
      if (described[i].target.layout != compiled[i].layout)
        return fail("the payload is of another model or of other options of "
                    "moec: its layout is ",
                    hashText(described[i].target.layout),
                    ", this executable's is ", hashText(compiled[i].layout));
    return {};
  }
  std::vector<std::string> names;
  for (const MoeCodeVersion &version : compiled)
    names.push_back(version.target);
  return fail("the payload is for code for ", namesOf(described),
              "; this executable has code for ", join(names));
}

} // namespace moe::runtime
