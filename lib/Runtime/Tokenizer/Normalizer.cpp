//===- Normalizer.cpp - tokenizer.json's "normalizer" ---------------------===//
//
// Part of moe-mlir. Follows tokenizers/src/normalizers of Hugging Face.
//
//===----------------------------------------------------------------------===//

#include "Normalizer.h"

#include "../JsonFields.h"
#include "../Utf8.h"
#include "CharacterClass.h"
#include "Pattern.h"

#include <cstdlib>

namespace moe::runtime {

using nlohmann::json;

static Normalizer::Step unicodeForm(int form) {
  return [form](std::string text) -> Result<std::string> {
    utf8proc_uint8_t *mapped = nullptr;
    utf8proc_ssize_t size = utf8proc_map(
        reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
        utf8proc_ssize_t(text.size()), &mapped,
        utf8proc_option_t(UTF8PROC_STABLE | form));
    if (size < 0)
      return fail("Unicode normalisation failed: ", utf8proc_errmsg(size));
    std::string result(reinterpret_cast<const char *>(mapped), size_t(size));
    std::free(mapped);
    return result;
  };
}

/// Calls `visit` for every code point; `text` is valid UTF-8.
template <typename Visit>
static void forEachCodePoint(std::string_view text, Visit visit) {
  while (!text.empty()) {
    Utf8Front front = utf8Front(text);
    visit(front.codePoint);
    text.remove_prefix(size_t(front.bytes));
  }
}

static Result<std::string> lowercase(std::string text) {
  std::string result;
  forEachCodePoint(text, [&](uint32_t c) {
    // The only character whose lower case is two.
    if (c == 0x130)
      result += "i\xCC\x87";
    else
      appendUtf8(result, uint32_t(utf8proc_tolower(utf8proc_int32_t(c))));
  });
  return result;
}

static Result<std::string> stripAccents(std::string text) {
  std::string result;
  forEachCodePoint(text, [&](uint32_t c) {
    if (!isMark(c))
      appendUtf8(result, c);
  });
  return result;
}

static std::string strip(std::string_view text, bool left, bool right) {
  size_t begin = text.size(), end = 0, at = 0;
  forEachCodePoint(text, [&](uint32_t c) {
    size_t next = at + size_t(utf8Length(static_cast<unsigned char>(text[at])));
    if (!isSpace(c)) {
      begin = std::min(begin, at);
      end = next;
    }
    at = next;
  });
  if (begin == text.size() && (left || right))
    return {};
  begin = left ? begin : 0;
  end = right ? end : text.size();
  return std::string(text.substr(begin, end - begin));
}

static Result<Normalizer::Step> replaceStep(JsonFields &fields) {
  Result<Pattern> pattern = Pattern::parse(fields);
  if (!pattern)
    return passOn(pattern);
  std::string content = fields.text("content");
  return [pattern = *pattern, content](std::string text) {
    return pattern.replace(text, content);
  };
}

Result<void> Normalizer::add(const json &value, const std::string &path) {
  JsonFields fields(value, path);
  std::string type = fields.text("type");
  if (type == "Sequence") {
    const json &children = fields.array("normalizers");
    for (size_t i = 0; i < children.size(); ++i)
      if (Result<void> done = add(children[i], fields.pathOf(
                                                   "normalizers[" +
                                                   std::to_string(i) + "]"));
          !done)
        return done;
  } else if (type == "NFC") {
    steps.push_back(unicodeForm(UTF8PROC_COMPOSE));
  } else if (type == "NFD") {
    steps.push_back(unicodeForm(UTF8PROC_DECOMPOSE));
  } else if (type == "NFKC") {
    steps.push_back(unicodeForm(UTF8PROC_COMPOSE | UTF8PROC_COMPAT));
  } else if (type == "NFKD") {
    steps.push_back(unicodeForm(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT));
  } else if (type == "Lowercase") {
    steps.push_back(lowercase);
  } else if (type == "StripAccents") {
    steps.push_back(stripAccents);
  } else if (type == "Strip") {
    bool left = fields.boolean("strip_left", true);
    bool right = fields.boolean("strip_right", true);
    steps.push_back([left, right](std::string text) -> Result<std::string> {
      return strip(text, left, right);
    });
  } else if (type == "Prepend") {
    std::string prefix = fields.text("prepend");
    steps.push_back([prefix](std::string text) -> Result<std::string> {
      return text.empty() ? text : prefix + text;
    });
  } else if (type == "Replace") {
    Result<Step> step = replaceStep(fields);
    if (!step)
      return passOn(step);
    steps.push_back(std::move(*step));
  } else {
    fields.reject("type", "'" + type + "' is not supported");
  }
  if (fields.error())
    return std::unexpected(*fields.error());
  return {};
}

Result<Normalizer> Normalizer::parse(const json *value) {
  Normalizer normalizer;
  if (value)
    if (Result<void> done = normalizer.add(*value, "normalizer"); !done)
      return passOn(done);
  return normalizer;
}

Result<std::string> Normalizer::apply(std::string text) const {
  for (const Step &step : steps) {
    Result<std::string> next = step(std::move(text));
    if (!next)
      return next;
    text = std::move(*next);
  }
  return text;
}

} // namespace moe::runtime
