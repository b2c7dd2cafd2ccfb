//===- StepProfile.cpp - Where the time of a step goes --------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/StepProfile.h"

#include "OpenMP/Regions.h"

#include <algorithm>

namespace moe::runtime {

double Ceilings::floorOf(const PartWork &work,
                         const std::string &recipe) const {
  double floor = readRate > 0 ? work.bytes / readRate : 0;
  auto peak = peaks.find(recipe);
  if (peak != peaks.end() && peak->second > 0)
    floor = std::max(floor, work.flops / peak->second);
  return floor;
}

PartTimes &PartTimes::operator+=(const PartTimes &other) {
  seconds += other.seconds;
  floor += other.floor;
  bytes += other.bytes;
  flops += other.flops;
  experts += other.experts;
  return *this;
}

StepProfile::StepProfile(const ModelInfo &model, const CodeVersion &version,
                         Ceilings ceilings)
    : version(version), layers(model.layers), experts(model.experts),
      limits(std::move(ceilings)) {
  for (const StepParts::Run &run : version.parts.order)
    for (const StepPart &part : version.parts.bodies[run.body])
      parts.push_back({&part, run.layer, {}});
  ends.reserve(parts.size() + 1);
}

int64_t StepProfile::slotsPerToken() const {
  int64_t slots = 0;
  for (const RoutingRecord &record : version.step.records)
    slots += record.topK;
  return slots;
}

void StepProfile::begin() {
  ends.clear();
  openmp::listenToLoops(
      [](void *context) {
        auto &profile = *static_cast<StepProfile *>(context);
        profile.ends.push_back(Clock::now());
      },
      this);
  start = Clock::now();
}

/// By layer: how many different experts a call's tokens chose.
std::vector<double>
StepProfile::countExperts(int64_t tokens, std::span<const int32_t> ids) const {
  std::vector<double> counts(static_cast<size_t>(layers));
  std::vector<char> chosen(static_cast<size_t>(experts));
  for (const RoutingRecord &record : version.step.records) {
    auto count = static_cast<size_t>(tokens * record.topK);
    std::ranges::fill(chosen, 0);
    for (int32_t id : ids.first(count))
      if (id >= 0 && id < experts)
        chosen[size_t(id)] = 1;
    counts[size_t(record.layer)] = double(std::ranges::count(chosen, 1));
    ids = ids.subspan(count);
  }
  return counts;
}

void StepProfile::add(Entry &entry, double seconds, const CallShape &call,
                      double chosen) const {
  PartWork work = workOf(*entry.part, call, chosen);
  entry.times += {seconds, limits.floorOf(work, entry.part->recipe), work.bytes,
                  work.flops, entry.part->expertBytes ? chosen : 0};
}

Result<void> StepProfile::end(const CallShape &call,
                              std::span<const int32_t> routeIds) {
  Clock::time_point now = Clock::now();
  openmp::listenToLoops(nullptr, nullptr);
  if (ends.size() != parts.size())
    return fail("the step ran ", ends.size(), " loops, its payload describes ",
                parts.size());
  std::vector<double> chosen = countExperts(call.tokens, routeIds);
  auto seconds = [](Clock::duration time) {
    return std::chrono::duration<double>(time).count();
  };
  Clock::time_point before = start;
  for (size_t i = 0; i < parts.size(); ++i) {
    int64_t layer = parts[i].layer;
    add(parts[i], seconds(ends[i] - before), call,
        layer < 0 ? 0 : chosen[size_t(layer)]);
    before = ends[i];
  }
  last += seconds(now - before);
  total += seconds(now - start);
  ++callCount;
  return {};
}

} // namespace moe::runtime
