//===- PostProcessor.cpp - tokenizer.json's "post_processor" --------------===//
//
// Part of moe-mlir. Follows tokenizers/src/processors of Hugging Face. Only
// single sequences occur here; ByteLevel changes offsets, never ids.
//
//===----------------------------------------------------------------------===//

#include "PostProcessor.h"

#include "../JsonFields.h"

namespace moe::runtime {

using nlohmann::json;

/// The ids of special token `name` in a template's table.
static std::vector<int32_t> specialIds(JsonFields &fields,
                                       const std::string &name) {
  const json &table = fields.object("special_tokens");
  auto entry = table.find(name);
  if (entry == table.end() || !entry->is_object() ||
      !entry->contains("ids") || !(*entry)["ids"].is_array()) {
    fields.reject("special_tokens", "no ids for '" + name + "'");
    return {};
  }
  std::vector<int32_t> ids;
  for (const json &id : (*entry)["ids"]) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 ||
        id.get<int64_t>() > INT32_MAX) {
      fields.reject("special_tokens", "'" + name + "' has an id that is none");
      return {};
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

Result<void> PostProcessor::addTemplate(const json &value,
                                        const std::string &path) {
  JsonFields fields(value, path);
  std::vector<int32_t> front, back;
  int sequences = 0;
  for (const json &item : fields.array("single")) {
    if (item.is_object() && item.contains("Sequence")) {
      ++sequences;
    } else if (item.is_object() && item.contains("SpecialToken")) {
      JsonFields special(item["SpecialToken"],
                         fields.pathOf("single.SpecialToken"));
      std::vector<int32_t> ids = specialIds(fields, special.text("id"));
      std::vector<int32_t> &list = sequences ? back : front;
      list.insert(list.end(), ids.begin(), ids.end());
      if (special.error())
        return std::unexpected(*special.error());
    } else {
      fields.reject("single", "expected Sequence or SpecialToken");
    }
  }
  if (sequences != 1)
    fields.reject("single", "expected the sequence exactly once");
  if (fields.error())
    return std::unexpected(*fields.error());
  before.insert(before.begin(), front.begin(), front.end());
  behind.insert(behind.end(), back.begin(), back.end());
  return {};
}

Result<void> PostProcessor::add(const json &value, const std::string &path) {
  JsonFields fields(value, path);
  std::string type = fields.text("type");
  if (type == "Sequence") {
    const json &children = fields.array("processors");
    for (size_t i = 0; i < children.size(); ++i)
      if (Result<void> done = add(children[i], fields.pathOf(
                                                   "processors[" +
                                                   std::to_string(i) + "]"));
          !done)
        return done;
  } else if (type == "TemplateProcessing") {
    return addTemplate(value, path);
  } else if (type != "ByteLevel") {
    fields.reject("type", "'" + type + "' is not supported");
  }
  if (fields.error())
    return std::unexpected(*fields.error());
  return {};
}

Result<PostProcessor> PostProcessor::parse(const json *value) {
  PostProcessor processor;
  if (value)
    if (Result<void> done = processor.add(*value, "post_processor"); !done)
      return passOn(done);
  return processor;
}

std::vector<int32_t> PostProcessor::apply(std::vector<int32_t> ids) const {
  ids.insert(ids.begin(), before.begin(), before.end());
  ids.insert(ids.end(), behind.begin(), behind.end());
  return ids;
}

} // namespace moe::runtime
