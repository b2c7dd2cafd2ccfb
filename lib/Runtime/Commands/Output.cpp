//===- Output.cpp - Standard output ---------------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace moe::runtime {

Result<bool> writeOut(std::string_view text) {
  while (!text.empty()) {
    ssize_t done = write(STDOUT_FILENO, text.data(), text.size());
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0 && errno == EPIPE)
      return false;
    if (done < 0)
      return fail("cannot write to standard output: ", std::strerror(errno));
    text.remove_prefix(size_t(done));
  }
  return true;
}

std::string joinIds(std::span<const int32_t> ids) {
  std::string text;
  for (int32_t id : ids)
    text += (text.empty() ? "" : " ") + std::to_string(id);
  return text;
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

static std::string scaled(double value, double base, const char *const *units,
                          int count) {
  int unit = 0;
  for (; value >= base && unit + 1 < count; ++unit)
    value /= base;
  std::string text = fixed(value, unit == 0 ? 0 : 2);
  return units[unit][0] ? text + " " + units[unit] : text;
}

std::string sizeText(int64_t bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  return scaled(double(bytes), 1024, units, 5);
}

std::string countText(int64_t count) {
  static const char *const units[] = {"", "K", "M", "B", "T"};
  return scaled(double(count), 1000, units, 5);
}

} // namespace moe::runtime
