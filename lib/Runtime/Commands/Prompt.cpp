//===- Prompt.cpp - Where the prompt comes from ---------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Prompt.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace moe::runtime {

/// Far above what fits into any context: what is longer is no prompt, and may
/// have no end (/dev/zero).
static constexpr size_t kMaxPromptBytes = size_t(1) << 30;

static Result<std::string> readAll(int fd, const std::string &name) {
  std::string text;
  char buffer[1 << 16];
  while (true) {
    ssize_t done = read(fd, buffer, sizeof buffer);
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return fail(name, ": cannot read: ", std::strerror(errno));
    if (done == 0)
      return text;
    if (size_t(done) > kMaxPromptBytes - text.size())
      return fail(name, ": too long for a prompt: more than 1 GiB");
    text.append(buffer, size_t(done));
  }
}

Result<std::string> readPrompt(const CommandOptions &options) {
  if (options.prompt && options.promptFile)
    return fail("-p and -f both give a prompt; use one of them");
  if (options.promptFile) {
    const std::string &name = *options.promptFile;
    int fd = open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
      return fail(name, ": ", std::strerror(errno));
    Result<std::string> text = readAll(fd, name);
    close(fd);
    return text;
  }
  if (options.prompt && *options.prompt != "-")
    return *options.prompt;
  if (!options.prompt && isatty(STDIN_FILENO))
    return fail("no prompt: give -p TEXT, -f FILE, or pipe it in");
  return readAll(STDIN_FILENO, "standard input");
}

} // namespace moe::runtime
