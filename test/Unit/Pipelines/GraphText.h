//===- GraphText.h - What the text of random graphs is made of --*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PIPELINES_GRAPHTEXT_H
#define MOE_TEST_UNIT_PIPELINES_GRAPHTEXT_H

#include "moe/Reference/RandomTensor.h"

#include "llvm/Support/FormatVariadic.h"

#include <string>
#include <vector>

namespace moec::test {

/// Random choices of a graph.
class Chooser {
public:
  explicit Chooser(uint64_t seed) : numbers(seed * 2654435761u + 1) {}
  int64_t integer(int64_t low, int64_t high) {
    return numbers.integer(low, high);
  }
  bool chance(int percent) { return integer(1, 100) <= percent; }
  template <typename T> T among(std::vector<T> values) {
    return values[integer(0, values.size() - 1)];
  }

private:
  reference::RandomNumbers numbers;
};

/// A value and its type.
struct TypedName {
  std::string name, type;
};

/// A function's text: arguments as they are asked for, ops line by line.
class FunctionText {
public:
  std::string argument(const std::string &type) {
    std::string name = llvm::formatv("%a{0}", arguments.size());
    arguments.push_back(name + ": " + type);
    return name;
  }
  /// Adds `%N = <op>` and returns its name. With `results` of more than one,
  /// the names are that with #0, #1 ...
  std::string op(const std::string &text, int64_t results = 1) {
    std::string name = llvm::formatv("%v{0}", count++);
    body += "  " + name + (results == 1 ? "" : ":" + std::to_string(results)) +
            " = " + text + "\n";
    return name;
  }
  std::string finish(const std::string &name,
                     const std::vector<TypedName> &results) const {
    std::string list, names, types;
    for (const std::string &argument : arguments)
      list += (list.empty() ? "" : ", ") + argument;
    for (const TypedName &result : results) {
      names += (names.empty() ? "" : ", ") + result.name;
      types += (types.empty() ? "" : ", ") + result.type;
    }
    return llvm::formatv(
        "func.func @{0}({1}) -> ({2}) {{\n{3}  return {4} : {2}\n}\n", name,
        list, types, body, names);
  }

private:
  std::vector<std::string> arguments;
  std::string body;
  unsigned count = 0;
};

inline std::string rowsType(int64_t columns, const std::string &element) {
  return llvm::formatv("tensor<?x{0}x{1}>", columns, element);
}

inline std::string matrixType(int64_t rows, int64_t columns,
                              const std::string &element) {
  return llvm::formatv("tensor<{0}x{1}x{2}>", rows, columns, element);
}

/// A #moe.router that fits the experts.
std::string makeRouter(Chooser &choose, int64_t experts, int64_t topK);

} // namespace moec::test

#endif // MOE_TEST_UNIT_PIPELINES_GRAPHTEXT_H
