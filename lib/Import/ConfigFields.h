//===- ConfigFields.h - Checked access to config fields ---------*- C++ -*-===//
//
// Part of moe-mlir. Reads fields of a JSON object by name, with ranges. The
// first problem is kept and the reader goes on with a value within the range,
// so that the code that reads a config is a plain list of fields.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_CONFIGFIELDS_H
#define MOE_LIB_IMPORT_CONFIGFIELDS_H

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

namespace moe {

class ConfigFields {
public:
  /// Alternative spellings of one field, the preferred one first.
  using Names = std::initializer_list<const char *>;

  /// `object` must outlive this. `prefix` ("rope_scaling.") precedes the names
  /// in errors.
  ConfigFields(const nlohmann::json &object, llvm::StringRef origin,
               llvm::StringRef prefix = "")
      : object(object), origin(origin.str()), prefix(prefix.str()) {}

  /// The value of a field, or null where it is absent or JSON null. Marks it as
  /// read. Several spellings with unlike values are a problem.
  const nlohmann::json *find(Names names);
  const nlohmann::json *find(const char *name) { return find({name}); }
  /// Whether the key is there at all, JSON null included.
  bool contains(const char *name) const { return object.contains(name); }

  /// Whether anything has asked for the field.
  bool wasRead(const char *name) const { return read.contains(name); }

  // Without a fallback, the field is required.
  int64_t integer(Names names, int64_t low, int64_t high,
                  std::optional<int64_t> fallback = std::nullopt);
  int64_t integer(const char *name, int64_t low, int64_t high,
                  std::optional<int64_t> fallback = std::nullopt) {
    return integer({name}, low, high, fallback);
  }
  /// A number above `low` and at most `high`.
  double number(const char *name, double low, double high,
                std::optional<double> fallback = std::nullopt);
  std::optional<double> optionalNumber(const char *name, double low,
                                       double high);
  bool boolean(const char *name, bool fallback);
  std::string string(Names names, llvm::StringRef fallback);
  std::vector<int64_t> integers(const char *name, int64_t low, int64_t high);
  std::vector<std::string> strings(const char *name);

  /// Records a problem with a field: "FILE: NAME: expected EXPECTATION".
  void expected(llvm::StringRef name, const llvm::Twine &expectation);

  /// Takes over the problem of a nested object, if this has none.
  void adopt(const ConfigFields &nested);

  /// Marks fields as known to change no result.
  void ignore(Names names);
  /// Fields of the object that nothing has read or ignored, prefix included.
  std::vector<std::string> unread() const;

  llvm::Error takeError();

private:
  const nlohmann::json &object;
  std::string origin, prefix;
  llvm::StringSet<> read;
  std::optional<std::string> problem;
};

/// A JSON value for an error message: a number, quoted string, or its type.
std::string valueText(const nlohmann::json &value);

} // namespace moe

#endif // MOE_LIB_IMPORT_CONFIGFIELDS_H
