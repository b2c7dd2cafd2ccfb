//===- StepProfile.h - Where the time of a step goes ------------*- C++ -*-===//
//
// Part of moe-mlir. Listens to the barriers of the runtime's own threads, of
// which there is one behind each part of a step: docs/profiling.md.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_STEPPROFILE_H
#define MOE_RUNTIME_STEPPROFILE_H

#include "moe/Runtime/PayloadReader.h"
#include "moe/Runtime/StepParts.h"

#include <chrono>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace moe::runtime {

/// What the machine can do, as measured or as given; 0: unknown.
struct Ceilings {
  /// Bytes a second.
  double readRate = 0;
  /// FLOPs a second, by recipe.
  std::map<std::string, double> peaks;

  /// Seconds that `work` takes at least.
  double floorOf(const PartWork &work, const std::string &recipe) const;
};

/// Time and work of one part, summed over calls.
struct PartTimes {
  double seconds = 0, floor = 0, bytes = 0, flops = 0;
  /// Experts that a call's tokens chose.
  double experts = 0;

  PartTimes &operator+=(const PartTimes &other);
};

class StepProfile {
public:
  /// One entry a part of each run: as long as the step.
  struct Entry {
    const StepPart *part;
    int64_t layer;
    PartTimes times;
  };

  /// `version` and `model` must outlive the profile.
  StepProfile(const ModelInfo &model, const CodeVersion &version,
              Ceilings ceilings);
  StepProfile(const StepProfile &) = delete;
  StepProfile &operator=(const StepProfile &) = delete;

  /// Around a call of the step function. `routeIds`: as the call records them.
  /// An error where the call was not made of the parts that it should be.
  void begin();
  Result<void> end(const CallShape &call, std::span<const int32_t> routeIds);

  const std::vector<Entry> &entries() const { return parts; }
  const Ceilings &ceilings() const { return limits; }
  /// Choices that a call records for each token.
  int64_t slotsPerToken() const;
  int64_t calls() const { return callCount; }
  /// Of all calls; and of what of it comes behind the last part.
  double seconds() const { return total; }
  double leaving() const { return last; }

private:
  using Clock = std::chrono::steady_clock;

  void add(Entry &entry, double seconds, const CallShape &call,
           double experts) const;
  std::vector<double> countExperts(int64_t tokens,
                                   std::span<const int32_t> ids) const;

  const CodeVersion &version;
  int64_t layers, experts;
  Ceilings limits;
  std::vector<Entry> parts;
  /// When the current call began, and when each of its parts ended.
  Clock::time_point start;
  std::vector<Clock::time_point> ends;
  int64_t callCount = 0;
  double total = 0, last = 0;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_STEPPROFILE_H
