//===- ConfigFields.cpp - Checked access to the fields of a config --------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "ConfigFields.h"

#include "ImportError.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace moe;
using llvm::StringRef;
using llvm::Twine;
using nlohmann::json;

namespace {

std::string numberText(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%g", value);
  return text;
}

/// The value as an integer of 64 bits, if it is one.
std::optional<int64_t> asInteger(const json &value) {
  if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX)
    return std::nullopt;
  if (value.is_number_integer())
    return value.get<int64_t>();
  return std::nullopt;
}

std::string integerRange(int64_t low, int64_t high) {
  return ("an integer between " + Twine(low) + " and " + Twine(high)).str();
}

} // namespace

std::string moe::valueText(const json &value) {
  if (value.is_string())
    return inQuotes(value.get_ref<const std::string &>());
  if (value.is_number() || value.is_boolean())
    return value.dump();
  return std::string("a JSON ") + value.type_name();
}

const json *ConfigFields::find(Names names) {
  const json *found = nullptr;
  const char *foundName = nullptr;
  for (const char *name : names) {
    read.insert(name);
    auto it = object.find(name);
    if (it == object.end() || it->is_null())
      continue;
    if (found && *found != *it)
      expected(name, "the value of " + Twine(foundName) + ", " +
                         valueText(*found) + ", found " + valueText(*it));
    if (!found) {
      found = &*it;
      foundName = name;
    }
  }
  return found;
}

int64_t ConfigFields::integer(Names names, int64_t low, int64_t high,
                              std::optional<int64_t> fallback) {
  const json *value = find(names);
  if (!value && fallback)
    return *fallback;
  std::optional<int64_t> result =
      value ? asInteger(*value) : std::optional<int64_t>();
  if (result && *result >= low && *result <= high)
    return *result;
  expected(*names.begin(), integerRange(low, high) + ", found " +
                               (value ? valueText(*value) : "nothing"));
  return low;
}

double ConfigFields::number(const char *name, double low, double high,
                            std::optional<double> fallback) {
  const json *value = find(name);
  if (!value && fallback)
    return *fallback;
  if (value && value->is_number()) {
    double result = value->get<double>();
    if (result > low && result <= high)
      return result;
  }
  expected(name, "a number above " + numberText(low) + " and at most " +
                     numberText(high) + ", found " +
                     (value ? valueText(*value) : "nothing"));
  return high;
}

std::optional<double> ConfigFields::optionalNumber(const char *name, double low,
                                                   double high) {
  if (!find(name))
    return std::nullopt;
  return number(name, low, high);
}

bool ConfigFields::boolean(const char *name, bool fallback) {
  const json *value = find(name);
  if (!value)
    return fallback;
  if (value->is_boolean())
    return value->get<bool>();
  expected(name, "true or false, found " + valueText(*value));
  return fallback;
}

std::string ConfigFields::string(Names names, StringRef fallback) {
  const json *value = find(names);
  if (!value)
    return fallback.str();
  if (value->is_string())
    return value->get<std::string>();
  expected(*names.begin(), "a string, found " + valueText(*value));
  return fallback.str();
}

std::vector<int64_t> ConfigFields::integers(const char *name, int64_t low,
                                            int64_t high) {
  std::vector<int64_t> result;
  const json *value = find(name);
  if (!value)
    return result;
  if (!value->is_array()) {
    expected(name, "an array of integers, found " + valueText(*value));
    return result;
  }
  for (const json &element : *value) {
    std::optional<int64_t> number = asInteger(element);
    if (number && *number >= low && *number <= high)
      result.push_back(*number);
    else
      expected(name, integerRange(low, high) + " in each element, found " +
                         valueText(element));
  }
  return result;
}

std::vector<std::string> ConfigFields::strings(const char *name) {
  std::vector<std::string> result;
  const json *value = find(name);
  if (!value)
    return result;
  bool good = value->is_array();
  for (const json &element : *value) {
    good &= element.is_string();
    if (good)
      result.push_back(element.get<std::string>());
  }
  if (!good)
    expected(name, "an array of strings");
  return result;
}

void ConfigFields::expected(StringRef name, const Twine &expectation) {
  if (!problem)
    problem =
        (origin + ": " + prefix + name + ": expected " + expectation).str();
}

void ConfigFields::adopt(const ConfigFields &nested) {
  if (!problem)
    problem = nested.problem;
}

void ConfigFields::ignore(Names names) {
  for (const char *name : names)
    read.insert(name);
}

std::vector<std::string> ConfigFields::unread() const {
  std::vector<std::string> result;
  for (const auto &[name, value] : object.items())
    if (!read.contains(name))
      result.push_back(prefix + name);
  return result;
}

llvm::Error ConfigFields::takeError() {
  if (!problem)
    return llvm::Error::success();
  return importError(*problem);
}
