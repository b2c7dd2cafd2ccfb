//===- JsonFields.h - Checked access to JSON objects ------------*- C++ -*-===//
//
// Part of moe-mlir. The first error sticks, so that a reader can fetch all
// fields of an object and look once.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_JSONFIELDS_H
#define MOE_RUNTIME_JSONFIELDS_H

#include "moe/Runtime/Result.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe::runtime {

/// Parses without exceptions and refuses anything but an object.
Result<nlohmann::json> parseJsonObject(std::string_view text);

class JsonFields {
public:
  /// `path` names the object in messages ("model", "step.records[3]").
  JsonFields(const nlohmann::json &object, std::string path);

  int64_t integer(const char *name, int64_t min, int64_t max);
  std::string text(const char *name);
  std::vector<std::string> texts(const char *name);
  bool boolean(const char *name, bool otherwise);
  /// The field as an object or array; an empty one after an error.
  const nlohmann::json &object(const char *name);
  const nlohmann::json &array(const char *name);
  /// Null when the field is absent or null.
  const nlohmann::json *find(const char *name) const;

  void reject(const std::string &name, const std::string &why);
  const std::optional<Error> &error() const { return firstError; }
  std::string pathOf(const std::string &name) const;

private:
  const nlohmann::json &value;
  std::string path;
  std::optional<Error> firstError;
};

} // namespace moe::runtime

#endif // MOE_RUNTIME_JSONFIELDS_H
