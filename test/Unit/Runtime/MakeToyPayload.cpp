//===- MakeToyPayload.cpp - Writes a payload for the command-line test ----===//
//
// Part of moe-mlir. Usage: make-toy-payload OUT [SECTION=FILE]...
//
//===----------------------------------------------------------------------===//

#include "ToyPayload.h"

#include <fstream>
#include <iterator>

int main(int argc, char **argv) {
  std::map<std::string, std::string> sections;
  for (int i = 2; i < argc; ++i) {
    std::string argument = argv[i];
    size_t equals = argument.find('=');
    std::ifstream file(argument.substr(equals + 1), std::ios::binary);
    if (!file)
      return 1;
    sections[argument.substr(0, equals)] =
        std::string(std::istreambuf_iterator<char>(file), {});
  }
  std::string payload = moe::runtime::test::toyPayload(sections);
  std::ofstream out(argv[1], std::ios::binary);
  out.write(payload.data(), std::streamsize(payload.size()));
  return out.flush() ? 0 : 1;
}
