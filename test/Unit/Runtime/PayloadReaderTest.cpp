//===- PayloadReaderTest.cpp - Payloads, right and wrong ------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "ToyPayload.h"
#include "moe/Runtime/Payload.h"
#include "moe/Runtime/PayloadReader.h"

#include <cstring>
#include <gtest/gtest.h>

namespace moe::runtime {
namespace {

using nlohmann::json;
using namespace test;

/// A copy on the heap of exactly the right size, so that AddressSanitizer sees
/// every read past the end.
Result<Payload> parse(const std::string &text) {
  static std::vector<char> copy;
  copy.assign(text.begin(), text.end());
  copy.shrink_to_fit();
  return parsePayload(std::as_bytes(std::span(copy)));
}

std::string errorOf(const std::string &text) {
  Result<Payload> payload = parse(text);
  if (payload)
    return "accepted";
  EXPECT_EQ(payload.error().message.find('\n'), std::string::npos);
  return payload.error().message;
}

TEST(PayloadReader, ReadsEveryField) {
  Result<Payload> payload = parse(toyPayload({{"tokenizer.json", "{}"}}));
  ASSERT_TRUE(payload) << payload.error().message;
  EXPECT_EQ(payload->model.name, "toy");
  EXPECT_EQ(payload->model.parametersActive, 4321);
  EXPECT_EQ(payload->target().features, std::vector<std::string>{"avx2"});
  EXPECT_EQ(payload->step().chunk, 48);
  ASSERT_EQ(payload->step().records.size(), 2u);
  EXPECT_EQ(payload->step().records[1].layer, 3);
  EXPECT_EQ(payload->step().records[1].topK, 3);
  const StepParts &parts = payload->versions[0].parts;
  ASSERT_EQ(parts.bodies.size(), 3u);
  EXPECT_EQ(parts.bodies[1][0].cacheBytes, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(parts.bodies[1][1].expertBytes, 64);
  EXPECT_TRUE(parts.bodies[2][0].lastRows);
  ASSERT_EQ(parts.order.size(), 6u);
  EXPECT_EQ(parts.order[4].body, 1u);
  EXPECT_EQ(parts.order[4].layer, 3);
  EXPECT_EQ(payload->text("weights"), "8 bytes.");
  EXPECT_EQ(payload->text("tokenizer.json"), "{}");
  EXPECT_FALSE(payload->has("tokenizer.model"));
  EXPECT_TRUE(verifySections(*payload));
  EXPECT_EQ(kvBytes(payload->step(), {0, 0}, 65).value(), 128 * 16);
  EXPECT_EQ(kvBytes(payload->step(), {0, 1}, 65).value(), 128 * 12);
  EXPECT_EQ(arenaBytes(payload->step(), 17, 2).value(), 32 * 256 + 4096 + 128);
}

TEST(PayloadReader, RefusesEveryCutPayload) {
  std::string whole = toyPayload();
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(errorOf(whole.substr(0, size)), "accepted") << size;
  EXPECT_NE(errorOf(whole.substr(0, 4100)).find("4100 of 4104 bytes"),
            std::string::npos);
}

TEST(PayloadReader, RefusesEveryChangedHeaderByte) {
  std::string whole = toyPayload();
  uint64_t headerBytes;
  std::memcpy(&headerBytes, whole.data() + 8, 8);
  for (size_t at = 0; at < 64 + headerBytes; ++at) {
    std::string changed = whole;
    changed[at] ^= 0x40;
    EXPECT_NE(errorOf(changed), "accepted") << at;
  }
}

TEST(PayloadReader, RefusesReservedBytesInUse) {
  for (size_t at : {40, 63}) {
    std::string changed = toyPayload();
    changed[at] = 1;
    EXPECT_EQ(errorOf(changed), "the payload's bytes 40 to 63 are not zero");
  }
}

TEST(PayloadReader, VerifyFindsAChangedSection) {
  std::string changed = toyPayload();
  changed.back() ^= 1;
  Result<Payload> payload = parse(changed);
  ASSERT_TRUE(payload);
  Result<void> verified = verifySections(*payload);
  ASSERT_FALSE(verified);
  EXPECT_NE(verified.error().message.find("section weights is damaged"),
            std::string::npos);
}

struct BadField {
  const char *pointer, *value, *message;
};

TEST(PayloadReader, NamesTheWrongField) {
  const BadField cases[] = {
      {"/format", "1", "format: 1 is out of range, expected 4 to 4"},
      {"/model", "[]", "model: expected an object"},
      {"/model/name", "7", "model.name: expected a string, found number"},
      {"/model/vocab", "0", "model.vocab: 0 is out of range"},
      {"/model/vocab", "-1", "model.vocab: -1 is out of range"},
      {"/model/vocab", "18446744073709551615", "model.vocab: 1844"},
      {"/model/vocab", "1e3", "model.vocab: expected an integer"},
      {"/model/moe_layers", "5", "model.moe_layers: 5 is out of range"},
      {"/model/exempt", "[1]", "model.exempt: expected strings"},
      {"/targets/0/features", "null", "targets[0].features: expected an array"},
      {"/targets/0/step/chunk", "0",
       "targets[0].step.chunk: 0 is out of range"},
      {"/targets/0/step/kv_block", "0",
       "targets[0].step.kv_block: 0 is out of range"},
      {"/targets/0/step/kv_types", "[]",
       "targets[0].step.kv_types: expected 1 to 16 entries"},
      {"/targets/0/step/kv_types", "[\"f16\"]",
       "targets[0].step.kv_types[0]: expected an object"},
      {"/targets/0/step/kv_types/1/name", "\"bf16\"",
       "targets[0].step.kv_types: 'bf16' comes twice"},
      {"/targets/0/step/kv_types/1/bytes_per_position", "1000000000000",
       "targets[0].step.kv_types[1].bytes_per_position: 1000000000000 is out"},
      {"/targets/0/step/records/0/layer", "4",
       "targets[0].step.records[0].layer: 4 is out of"},
      {"/targets/0/step/records/0/top_k", "0",
       "targets[0].step.records[0].top_k: 0 is out of"},
      {"/targets/0/step/records/1/layer", "1",
       "targets[0].step.records: expected ascending"},
      {"/targets/0/step/records", "[1]",
       "targets[0].step.records[0]: expected an object"},
      {"/targets/0/parts", "null", "targets[0].parts: expected an object"},
      {"/targets/0/parts/bodies", "1", "targets[0].parts.bodies: expected an"},
      {"/targets/0/parts/bodies/0", "{}",
       "targets[0].parts.bodies[0]: expected at most 4096 parts"},
      {"/targets/0/parts/bodies/0/0", "1",
       "targets[0].parts.bodies[0]: expected an object"},
      {"/targets/0/parts/bodies/0/0/row_bytes", "-1",
       "targets[0].parts.bodies[0].row_bytes: -1 is out of range"},
      {"/targets/0/parts/bodies/1/0/cache_bytes", "[1]",
       "expected a size for each of step.kv_types"},
      {"/targets/0/parts/bodies/1/0/cache_bytes", "[1, 1e99]",
       "expected sizes in bytes"},
      {"/targets/0/parts/order/0", "[3, -1]",
       "targets[0].parts.order: expected pairs"},
      {"/targets/0/parts/order/0", "[-1, -1]",
       "targets[0].parts.order: expected pairs"},
      {"/targets/0/parts/bodies/1/0/cache_bytes", "[1, 18446744073709551615]",
       "expected sizes in bytes"},
      {"/targets/0/parts/order/0", "[0, 18446744073709551615]",
       "targets[0].parts.order: expected pairs"},
      {"/targets/0/parts/order/0", "[18446744073709551615, 0]",
       "targets[0].parts.order: expected pairs"},
      {"/targets/0/parts/order/0", "[0]",
       "targets[0].parts.order: expected pairs"},
      {"/targets/0/parts/order/0", "{\"0\": 0}",
       "targets[0].parts.order: expected pairs"},
      {"/targets/0/parts/order/0", "[0, 4]",
       "targets[0].parts.order: expected pairs"},
      {"/targets", "[]", "targets: expected 1 to 64 entries"},
      {"/targets", "[1]", "targets[0]: expected an object"},
      {"/targets/0/step", "1", "targets[0].step: expected an object"},
      {"/sections", "{}", "sections.weights: missing"},
      {"/sections", R"({"weights": {}})", "sections.weights.offset: missing"},
      {"/sections", R"({"weights": {"offset": 1, "bytes": 1,
                                    "hash": "0123456789abcdef"}})",
       "sections.weights.offset: 1 is not a multiple of 4096"},
      {"/sections", R"({"weights": {"offset": 4096, "bytes": 1,
                                    "hash": "0123456789abcdef"}})",
       "sections.weights.bytes: the section ends behind"},
      {"/sections", R"({"weights": {"offset": 0,
                                    "bytes": 9223372036854775807,
                                    "hash": "0123456789abcdef"}})",
       "sections.weights.bytes: the section ends behind"},
      {"/sections", R"({"weights": {"offset": 0, "bytes": 1, "hash": "xyz"}})",
       "sections.weights.hash: expected 16 hexadecimal digits"},
  };
  for (const BadField &bad : cases) {
    json header = toyHeader();
    header[json::json_pointer(bad.pointer)] = json::parse(bad.value);
    std::string error = errorOf(makePayload(header, {{"weights", "8 bytes."}}));
    EXPECT_NE(error.find(bad.message), std::string::npos)
        << bad.pointer << ": " << error;
  }
}

TEST(PayloadReader, NamesTheMissingField) {
  json header = toyHeader();
  const std::pair<const char *, const char *> parts[] = {
      {"/model", "model."},
      {"/targets/0", "targets[0]."},
      {"/targets/0/parts", "targets[0].parts."},
      {"/targets/0/step", "targets[0].step."}};
  for (auto [pointer, path] : parts) {
    json::json_pointer part(pointer);
    for (const auto &[name, value] : header[part].items()) {
      json changed = header;
      changed[part].erase(name);
      std::string error =
          errorOf(makePayload(changed, {{"weights", "8 bytes."}}));
      EXPECT_NE(error.find(path + name), std::string::npos) << error;
    }
  }
}

TEST(PayloadReader, ReadsSeveralVersions) {
  json header = toyHeader();
  json second = header["targets"][0];
  header["targets"].push_back(second);
  EXPECT_NE(errorOf(makePayload(header, {{"weights", "8 bytes."}}))
                .find("targets[1].cpu: 'x86-64-v3' is there already"),
            std::string::npos);
  header["targets"][1]["cpu"] = "x86-64-v4";
  header["targets"][1]["step"]["arena_bytes_fixed"] = 64;
  Result<Payload> payload =
      parse(makePayload(header, {{"weights", "8 bytes."}}));
  ASSERT_TRUE(payload) << payload.error().message;
  ASSERT_EQ(payload->versions.size(), 2u);
  EXPECT_EQ(payload->step().arenaBytesFixed, 4096);
  payload->chosen = 1;
  EXPECT_EQ(payload->target().cpu, "x86-64-v4");
  EXPECT_EQ(payload->step().arenaBytesFixed, 64);
}

TEST(PayloadReader, RefusesWhatIsNoJsonObject) {
  EXPECT_NE(errorOf(frameHeader("{", "")).find("not valid JSON"),
            std::string::npos);
  EXPECT_NE(errorOf(frameHeader("[1]", "")).find("expected a JSON object"),
            std::string::npos);
  EXPECT_NE(errorOf(frameHeader(std::string(100000, '['), "")).find("JSON"),
            std::string::npos);
}

} // namespace
} // namespace moe::runtime
