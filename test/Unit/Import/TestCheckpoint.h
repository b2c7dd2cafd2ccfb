//===- TestCheckpoint.h - Checkpoints made by tests -------------*- C++ -*-===//
//
// Part of moe-mlir. Writes small safetensors files and config.json texts.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_IMPORT_TESTCHECKPOINT_H
#define MOE_TEST_UNIT_IMPORT_TESTCHECKPOINT_H

#include "moe/Import/WeightMap.h"

#include "llvm/Support/Error.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace moe::test {

inline std::string goldenPath(const std::string &name) {
  return std::string(MOE_GOLDENS) + "/" + name;
}

/// The message of a failed result; "" if it succeeded.
template <typename T> std::string messageOf(llvm::Expected<T> result) {
  return result ? "" : llvm::toString(result.takeError());
}

/// A file's bytes: length of the header, header, data.
std::string safetensorsBytes(const std::string &header,
                             const std::string &data);

/// A tensor of a checkpoint to be written. Element i of its f32 data is
/// first + i.
struct TestTensor {
  std::vector<int64_t> shape;
  float first = 0;
  std::string dtype = "F32";
};
using TestTensors = std::map<std::string, TestTensor>;

/// A safetensors file of these tensors, in the order of their names.
std::string safetensorsBytes(const TestTensors &tensors);

/// The tensors that a published checkpoint of this config holds, each with
/// another `first`.
TestTensors tensorsOf(const ModelConfig &config);

/// Configs with all required fields: hidden 8, 2 heads, 3 experts, 2 layers.
nlohmann::json smallConfig(const std::string &modelType);
ModelConfig parsed(const nlohmann::json &config);

/// A directory that is removed with its contents at the end.
class TemporaryDirectory {
public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  std::string write(const std::string &name, const std::string &bytes) const;
  std::string path() const { return directory.string(); }

private:
  std::filesystem::path directory;
};

} // namespace moe::test

#endif // MOE_TEST_UNIT_IMPORT_TESTCHECKPOINT_H
