//===- JsonFields.cpp - Checked access to JSON objects --------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "JsonFields.h"

namespace moe::runtime {

using nlohmann::json;

Result<json> parseJsonObject(std::string_view text) {
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded())
    return fail("not valid JSON");
  if (!value.is_object())
    return fail("expected a JSON object, found ", value.type_name());
  return value;
}

static const json emptyObject = json::object();
static const json emptyArray = json::array();

JsonFields::JsonFields(const json &object, std::string path)
    : value(object.is_object() ? object : emptyObject), path(std::move(path)) {
  if (!object.is_object())
    firstError = Error{this->path + ": expected an object, found " +
                       object.type_name()};
}

std::string JsonFields::pathOf(const std::string &name) const {
  return path.empty() ? name : path + "." + name;
}

void JsonFields::reject(const std::string &name, const std::string &why) {
  if (!firstError)
    firstError = Error{pathOf(name) + ": " + why};
}

const json *JsonFields::find(const char *name) const {
  auto it = value.find(name);
  return it == value.end() || it->is_null() ? nullptr : &*it;
}

int64_t JsonFields::integer(const char *name, int64_t min, int64_t max) {
  const json *field = find(name);
  if (!field) {
    reject(name, "missing, expected an integer");
    return min;
  }
  bool inRange = false;
  int64_t number = min;
  if (field->is_number_unsigned()) {
    uint64_t wide = field->get<uint64_t>();
    inRange = wide <= uint64_t(INT64_MAX);
    number = inRange ? int64_t(wide) : min;
  } else if (field->is_number_integer()) {
    number = field->get<int64_t>();
    inRange = true;
  } else {
    reject(name, std::string("expected an integer, found ") +
                     field->type_name());
    return min;
  }
  if (inRange && number >= min && number <= max)
    return number;
  reject(name, field->dump() + " is out of range, expected " +
                   std::to_string(min) + " to " + std::to_string(max));
  return min;
}

std::string JsonFields::text(const char *name) {
  const json *field = find(name);
  if (field && field->is_string())
    return field->get<std::string>();
  reject(name, field ? std::string("expected a string, found ") +
                           field->type_name()
                     : "missing, expected a string");
  return {};
}

std::vector<std::string> JsonFields::texts(const char *name) {
  std::vector<std::string> result;
  for (const json &item : array(name)) {
    if (!item.is_string()) {
      reject(name, "expected strings");
      break;
    }
    result.push_back(item.get<std::string>());
  }
  return result;
}

bool JsonFields::boolean(const char *name, bool otherwise) {
  const json *field = find(name);
  if (!field)
    return otherwise;
  if (field->is_boolean())
    return field->get<bool>();
  reject(name, std::string("expected true or false, found ") +
                   field->type_name());
  return otherwise;
}

const json &JsonFields::object(const char *name) {
  const json *field = find(name);
  if (field && field->is_object())
    return *field;
  reject(name, "expected an object");
  return emptyObject;
}

const json &JsonFields::array(const char *name) {
  const json *field = find(name);
  if (field && field->is_array())
    return *field;
  reject(name, "expected an array");
  return emptyArray;
}

} // namespace moe::runtime
