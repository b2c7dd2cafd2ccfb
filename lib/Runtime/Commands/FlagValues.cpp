//===- FlagValues.cpp - What the values of flags may be -------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "FlagValues.h"

#include <algorithm>
#include <charconv>

namespace moe::runtime {

/// A validator of what reads as a T, whole, from `min` to `max`.
template <typename T>
static CLI::Validator inRange(const char *what, int64_t min, int64_t max) {
  std::string range = std::to_string(min) + " to " + std::to_string(max);
  auto check = [=](std::string &text) -> std::string {
    T value = 0;
    const char *end = text.data() + text.size();
    auto [stop, code] = std::from_chars(text.data(), end, value);
    if (code != std::errc() || stop != end ||
        !(value >= T(min) && value <= T(max)))
      return std::string("expected ") + what + " from " + range + ", got '" +
             text + "'";
    // As CLI11 reads it: to it, 010 is 8.
    if constexpr (std::is_integral_v<T>)
      text = std::to_string(value);
    return "";
  };
  return CLI::Validator(check, range);
}

CLI::Validator wholeNumber(int64_t min, int64_t max) {
  return inRange<int64_t>("a whole number", min, max);
}

CLI::Validator number(int64_t min, int64_t max) {
  return inRange<double>("a number", min, max);
}

CLI::Validator oneOf(std::vector<std::string> names) {
  std::string list = names.front();
  for (size_t i = 1; i < names.size(); ++i)
    list += (i + 1 < names.size() ? ", " : " or ") + names[i];
  auto check = [=](std::string &text) -> std::string {
    if (std::ranges::count(names, text))
      return "";
    return "expected " + list + ", got '" + text + "'";
  };
  return CLI::Validator(check, list);
}

CLI::Validator outputFile() {
  auto check = [](std::string &text) -> std::string {
    if (text.empty() || text == "-")
      return "expected the name of a file (/dev/stdout is one), got '" + text +
             "'";
    return "";
  };
  return CLI::Validator(check, "");
}

} // namespace moe::runtime
