//===- StrictJson.cpp - JSON without surprises ----------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "StrictJson.h"

#include "ImportError.h"

#include <set>

using namespace moe;
using nlohmann::json;

namespace {

/// Checks a text event by event; builds nothing. A first pass with it also
/// gives the position of a syntax error without exceptions.
class JsonChecker : public nlohmann::json_sax<json> {
public:
  std::string problem;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t &) override { return true; }
  bool string(string_t &) override { return true; }
  bool binary(binary_t &) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }

  bool key(string_t &name) override {
    if (keys.back().insert(name).second)
      return true;
    problem = "field " + inQuotes(name) + " occurs twice";
    return false;
  }

  bool parse_error(std::size_t position, const std::string &,
                   const json::exception &) override {
    problem = "expected valid JSON, found an error at byte " +
              std::to_string(position);
    return false;
  }

private:
  static constexpr size_t maxDepth = 64;
  std::vector<std::set<std::string>> keys;

  bool enter() {
    keys.emplace_back();
    if (keys.size() <= maxDepth)
      return true;
    problem = "expected JSON nested at most 64 deep";
    return false;
  }
  bool leave() {
    keys.pop_back();
    return true;
  }
};

} // namespace

llvm::Expected<json> moe::parseStrictJson(llvm::StringRef text,
                                          llvm::StringRef origin) {
  JsonChecker checker;
  if (!json::sax_parse(text.begin(), text.end(), &checker))
    return importError(origin + ": " + checker.problem);
  json value = json::parse(text.begin(), text.end(), nullptr,
                           /*allow_exceptions=*/false);
  if (!value.is_object())
    return importError(origin + ": expected a JSON object");
  return value;
}
