//===- TokenList.cpp - The value of --tokens ------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "TokenList.h"

#include <charconv>

namespace moe::runtime {

static std::string_view trim(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == text.npos)
    return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

Result<std::vector<int32_t>> parseTokenList(std::string_view text,
                                            int64_t vocab) {
  std::vector<int32_t> tokens;
  if (trim(text).empty())
    return fail("--tokens: no token ids, expected a list like 1,2,3");
  for (bool more = true; more;) {
    size_t comma = text.find(',');
    more = comma != text.npos;
    std::string_view item = trim(text.substr(0, comma));
    text = more ? text.substr(comma + 1) : "";
    int64_t id = 0;
    const char *end = item.data() + item.size();
    auto [stop, code] = std::from_chars(item.data(), end, id);
    bool overflow = code == std::errc::result_out_of_range;
    if ((code != std::errc() && !overflow) || stop != end)
      return fail("--tokens: entry ", tokens.size(), " is '", item,
                  "', expected a token id");
    if (overflow || id < 0 || id >= vocab)
      return fail("--tokens: entry ", tokens.size(), " is ", item,
                  "; this model's ids go from 0 to ", vocab - 1);
    tokens.push_back(int32_t(id));
  }
  return tokens;
}

} // namespace moe::runtime
