//===- ToyPayload.h - Payloads for tests ------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_RUNTIME_TOYPAYLOAD_H
#define MOE_TEST_UNIT_RUNTIME_TOYPAYLOAD_H

#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace moe::runtime::test {

/// The header of the model in ToyModel.cpp, without sections.
nlohmann::json toyHeader();

/// The bytes of a payload; fills the header's "sections" where it has none.
std::string makePayload(nlohmann::json header,
                        const std::map<std::string, std::string> &sections);

/// makePayload with an 8-byte "weights" section.
std::string toyPayload(std::map<std::string, std::string> sections = {});

/// Puts a header text, right or wrong, in front of `data`.
std::string frameHeader(const std::string &header, const std::string &data);

} // namespace moe::runtime::test

#endif // MOE_TEST_UNIT_RUNTIME_TOYPAYLOAD_H
