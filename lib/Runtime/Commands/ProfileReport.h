//===- ProfileReport.h - A profile as tables and as JSON --------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMMANDS_PROFILEREPORT_H
#define MOE_RUNTIME_COMMANDS_PROFILEREPORT_H

#include "moe/Runtime/StepProfile.h"

#include <nlohmann/json.hpp>

#include <string>

namespace moe::runtime {

/// What a profile is of: one run, the median of several by its time. Times are
/// shown for one unit of it: the prompt, or a generated token.
struct ProfiledTest {
  std::string name;
  bool isPrompt = false;
  int64_t threads = 1, units = 1, runs = 1;

  const char *unit() const { return isPrompt ? "prompt" : "token"; }
};

/// A line about the whole, a table by part, one by layer.
std::string profileMarkdown(const ProfiledTest &test,
                            const StepProfile &profile);

/// The same, and a list of every part of every layer.
nlohmann::ordered_json profileJson(const ProfiledTest &test,
                                   const StepProfile &profile);

} // namespace moe::runtime

#endif // MOE_RUNTIME_COMMANDS_PROFILEREPORT_H
