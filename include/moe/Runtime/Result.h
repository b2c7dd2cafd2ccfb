//===- Result.h - Errors as values at the runtime's edge --------*- C++ -*-===//
//
// Part of moe-mlir. The runtime throws nothing across its interfaces: what can
// fail returns a Result, and its error is one line that a user can act on.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_RESULT_H
#define MOE_RUNTIME_RESULT_H

#include <expected>
#include <sstream>
#include <string>
#include <utility>

namespace moe::runtime {

/// One line, without a trailing newline, naming the file or field at fault,
/// what was found and what was expected.
struct Error {
  std::string message;
};

template <typename T>
using Result = std::expected<T, Error>;

/// Builds an error from anything that an ostream prints:
/// `return fail("-c ", n, ": the model's context is ", max);`
template <typename... Parts>
std::unexpected<Error> fail(const Parts &...parts) {
  std::ostringstream text;
  (text << ... << parts);
  return std::unexpected(Error{std::move(text).str()});
}

/// Passes the error of `result` on with a prefix, typically a file name.
template <typename T>
std::unexpected<Error> failIn(const std::string &where,
                              const Result<T> &result) {
  return fail(where, ": ", result.error().message);
}

/// Passes the error of `result` on as it is.
template <typename T>
std::unexpected<Error> passOn(const Result<T> &result) {
  return std::unexpected(result.error());
}

} // namespace moe::runtime

#endif // MOE_RUNTIME_RESULT_H
