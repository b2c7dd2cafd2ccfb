//===- CheckpointTest.cpp - Files and directories of a checkpoint ---------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "TestCheckpoint.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace moe;
using namespace moe::test;

namespace {

TEST(Checkpoint, ReadsOneFile) {
  TemporaryDirectory directory;
  std::string file =
      directory.write("model.safetensors",
                      safetensorsBytes({{"a", {{2, 3}, 10}}, {"b", {{}, 7}}}));
  for (const std::string &path : {directory.path(), file}) {
    llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(path);
    ASSERT_TRUE(bool(checkpoint)) << llvm::toString(checkpoint.takeError());
    const TensorInfo *a = checkpoint->find("a");
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(a->shape, (llvm::SmallVector<int64_t, 4>{2, 3}));
    EXPECT_EQ(a->elements(), 6);
    float values[6];
    widenToF32(checkpoint->data(*a).data(), a->type, values);
    EXPECT_EQ(values[5], 15.0f);
    EXPECT_EQ(checkpoint->find("b")->elements(), 1);
    EXPECT_EQ(checkpoint->find("c"), nullptr);
    EXPECT_EQ(checkpoint->path(0), file);
  }
}

TEST(Checkpoint, AcceptsEmptyTensorsAnywhere) {
  std::string header =
      R"({"z":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},)"
      R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
      R"("b":{"dtype":"F32","shape":[0],"data_offsets":[2,2]}})";
  EXPECT_EQ(messageOf(parseSafetensors(safetensorsBytes(header, "xy"), "m")),
            "");
}

TEST(Checkpoint, AcceptsPaddedHeaderAndMetadata) {
  std::string header = R"({"__metadata__":{"format":"pt"}}      )";
  EXPECT_EQ(messageOf(parseSafetensors(safetensorsBytes(header, ""), "m")), "");
}

constexpr const char *indexName = "model.safetensors.index.json";

/// Two shards, `one` with a and b, `two` with c.
void writeShards(const TemporaryDirectory &directory) {
  directory.write("one", safetensorsBytes({{"a", {{1}}}, {"b", {{2}}}}));
  directory.write("two", safetensorsBytes({{"c", {{3}, 5}}}));
}

TEST(Checkpoint, ReadsShards) {
  TemporaryDirectory directory;
  writeShards(directory);
  directory.write(indexName,
                  R"({"weight_map":{"a":"one","b":"one","c":"two"}})");
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::open(directory.path());
  ASSERT_TRUE(bool(checkpoint)) << llvm::toString(checkpoint.takeError());
  EXPECT_EQ(checkpoint->fileCount(), 2u);
  const TensorInfo *c = checkpoint->find("c");
  ASSERT_NE(c, nullptr);
  float values[3];
  widenToF32(checkpoint->data(*c).data(), c->type, values);
  EXPECT_EQ(values[2], 7.0f);
}

struct BadIndex {
  const char *name, *index, *expected;
};
const BadIndex badIndices[] = {
    {"NotJson", "{", "expected valid JSON"},
    {"NoMap", "{}", "weight_map: expected an object"},
    {"EmptyMap", R"({"weight_map":{}})", "weight_map: expected an object"},
    {"FileNotString", R"({"weight_map":{"a":1}})",
     "weight_map: \"a\": expected the name of a file beside the index"},
    {"FileElsewhere", R"({"weight_map":{"a":"../one"}})",
     "expected the name of a file beside the index"},
    {"FileAbsolute", R"({"weight_map":{"a":"/etc/passwd"}})",
     "expected the name of a file beside the index"},
    {"FileMissing", R"({"weight_map":{"a":"three"}})",
     "weight_map: file \"three\" does not exist"},
    {"TensorMissing", R"({"weight_map":{"a":"one","d":"two"}})",
     "weight_map: tensor \"d\" is not in \"two\""},
    {"TensorInOtherFile", R"({"weight_map":{"a":"two","c":"two","b":"one"}})",
     "weight_map: tensor \"a\" is not in \"two\""},
    {"TensorTwice", R"({"weight_map":{"a":"one","c":"again"}})",
     "tensor \"a\": expected once, found also in"},
    {"TensorNameTwice", R"({"weight_map":{"a":"one","a":"one"}})",
     "field \"a\" occurs twice"},
};

class BadIndices : public testing::TestWithParam<BadIndex> {};

TEST_P(BadIndices, IsOneLine) {
  TemporaryDirectory directory;
  writeShards(directory);
  directory.write("again", safetensorsBytes({{"a", {{1}}}, {"c", {{1}}}}));
  directory.write(indexName, GetParam().index);
  std::string message = messageOf(Checkpoint::open(directory.path()));
  EXPECT_NE(message.find(GetParam().expected), std::string::npos) << message;
  EXPECT_EQ(message.rfind(directory.path(), 0), 0u) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(, BadIndices, testing::ValuesIn(badIndices),
                         [](const auto &info) { return info.param.name; });

TEST(Checkpoint, EmptyDirectory) {
  TemporaryDirectory directory;
  EXPECT_EQ(messageOf(Checkpoint::open(directory.path())),
            directory.path() + ": expected model.safetensors or "
                               "model.safetensors.index.json");
}

TEST(Checkpoint, PickledWeights) {
  TemporaryDirectory directory;
  directory.write("pytorch_model.bin", "");
  EXPECT_NE(messageOf(Checkpoint::open(directory.path()))
                .find("pytorch_model.bin is not read"),
            std::string::npos);
}

TEST(Checkpoint, NoSuchFile) {
  EXPECT_EQ(messageOf(Checkpoint::open("/nonexistent")),
            "/nonexistent: cannot be opened: No such file or directory");
}

} // namespace
