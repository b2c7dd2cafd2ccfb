//===- PayloadFile.cpp - Finds and maps a payload -------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Runtime/PayloadFile.h"

#include "moe/Runtime/Payload.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace moe::runtime {

Result<MappedFile> MappedFile::open(const std::string &path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return fail(path, ": ", std::strerror(errno));
  struct stat status;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    return fail(path, ": not a regular file");
  }
  MappedFile file;
  file.size = size_t(status.st_size);
  if (file.size != 0) {
    void *address =
        mmap(nullptr, file.size, PROT_READ, MAP_SHARED, fd, /*offset=*/0);
    if (address == MAP_FAILED) {
      int code = errno;
      ::close(fd);
      file.size = 0;
      return fail(path, ": cannot map ", status.st_size,
                  " bytes: ", std::strerror(code));
    }
    // Advice only: what is read from now on is kept in huge pages where the
    // file system can, and a map of them misses the TLB less often.
    madvise(address, file.size, MADV_HUGEPAGE);
    file.data = static_cast<const std::byte *>(address);
  }
  ::close(fd);
  return file;
}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : data(std::exchange(other.data, nullptr)),
      size(std::exchange(other.size, 0)) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(data, other.data);
  std::swap(size, other.size);
  return *this;
}

MappedFile::~MappedFile() {
  if (data)
    munmap(const_cast<std::byte *>(data), size);
}

/// Generated code loads whole cache lines of weights.
static Result<Payload> parseMapped(Bytes bytes) {
  Result<Payload> payload = parsePayload(bytes);
  if (payload &&
      reinterpret_cast<uintptr_t>(bytes.data()) % kPayloadAlignment != 0)
    return fail("the payload does not start at a multiple of ",
                kPayloadAlignment, " in its file");
  return payload;
}

Result<PayloadFile> openPayloadFile(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return passOn(file);
  Bytes bytes = file->bytes();
  if (bytes.size() >= 4 && std::memcmp(bytes.data(), "\x7f"
                                                     "ELF", 4) == 0) {
    Result<Bytes> section = findElfSection(bytes, kPayloadSectionName);
    if (!section)
      return failIn(path, section);
    bytes = *section;
  }
  Result<Payload> payload = parseMapped(bytes);
  if (!payload)
    return failIn(path, payload);
  return PayloadFile{std::move(*file), path, std::move(*payload)};
}

/// The file that this very function is mapped from, or an empty string.
static std::string ownMapping() {
  std::string result;
  FILE *maps = std::fopen("/proc/self/maps", "re");
  if (!maps)
    return result;
  const auto self = reinterpret_cast<uintptr_t>(&ownMapping);
  char *line = nullptr;
  size_t room = 0;
  while (getline(&line, &room, maps) > 0) {
    uintptr_t begin, end;
    int pathAt = 0;
    if (std::sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &begin, &end,
                    &pathAt) != 2 ||
        self < begin || self >= end || line[pathAt] != '/')
      continue;
    result = line + pathAt;
    if (!result.empty() && result.back() == '\n')
      result.pop_back();
    break;
  }
  std::free(line);
  std::fclose(maps);
  return result;
}

/// Where a shell would have found `name`.
static std::string searchPath(const char *name) {
  if (!name || !*name || std::strchr(name, '/'))
    return name ? name : "";
  const char *path = std::getenv("PATH");
  std::string_view rest = path ? path : "";
  while (!rest.empty()) {
    size_t colon = rest.find(':');
    std::string candidate(rest.substr(0, colon));
    candidate += candidate.empty() ? "./" : "/";
    candidate += name;
    if (access(candidate.c_str(), R_OK) == 0)
      return candidate;
    rest = colon == rest.npos ? "" : rest.substr(colon + 1);
  }
  return name;
}

/// The name of this executable's file.
static std::string selfPath(const char *argv0) {
  std::error_code code;
  auto path = std::filesystem::read_symlink("/proc/self/exe", code);
  return code ? searchPath(argv0) : path.string();
}

Result<PayloadFile> openOwnPayload(const char *argv0) {
  const auto *execName =
      reinterpret_cast<const char *>(getauxval(AT_EXECFN));
  const std::string candidates[] = {"/proc/self/exe", ownMapping(),
                                    execName ? execName : "",
                                    searchPath(argv0)};
  std::string why;
  for (const std::string &path : candidates) {
    if (path.empty())
      continue;
    Result<MappedFile> file = MappedFile::open(path);
    if (!file) {
      why = why.empty() ? file.error().message : why;
      continue;
    }
    Result<Bytes> section = findElfSection(file->bytes(), kPayloadSectionName);
    if (!section) {
      why = path + ": " + section.error().message;
      continue;
    }
    Result<Payload> payload = parseMapped(*section);
    if (!payload)
      return failIn(path == candidates[0] ? "this executable" : path, payload);
    return PayloadFile{std::move(*file), path, std::move(*payload)};
  }
  // moec --weights=external writes them there.
  std::string beside = selfPath(argv0) + ".weights";
  if (access(beside.c_str(), F_OK) == 0)
    return openPayloadFile(beside);
  return fail("this executable's payload was not found (", why, ", and no ",
              beside, "); give it with --weights FILE");
}

} // namespace moe::runtime
