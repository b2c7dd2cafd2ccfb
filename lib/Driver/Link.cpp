//===- Link.cpp - Objects into executables and libraries ------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/Link.h"

#include "Diagnostics.h"

#include "lld/Common/Driver.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <array>

LLD_HAS_DRIVER(elf)

#if __has_feature(address_sanitizer)
// lld's archives are not sanitized and share inline allocators with code that
// is: one half poisons memory that the other does not know to unpoison.
extern "C" const char *__asan_default_options() {
  return "allow_user_poisoning=0";
}
#endif

using namespace moec;

llvm::Expected<LinkKit> LinkKit::find(const char *argv0) {
  static int anchor;
  std::string self = llvm::sys::fs::getMainExecutable(argv0, &anchor);
  llvm::SmallString<256> directory(llvm::sys::path::parent_path(self));
  llvm::sys::path::append(directory, "..", "lib", "moe", "kit");
  llvm::sys::path::remove_dots(directory, /*remove_dot_dot=*/true);
  if (!llvm::sys::fs::is_directory(directory))
    return makeError("no link kit at " + directory +
                     ": expected the folder that the build makes");
  return LinkKit{std::string(directory)};
}

/// Runs lld with the given arguments; its messages become the error.
static llvm::Error runLinker(std::vector<std::string> arguments) {
  std::vector<const char *> argv;
  for (const std::string &argument : arguments)
    argv.push_back(argument.c_str());
  std::string out, err;
  llvm::raw_string_ostream outStream(out), errStream(err);
  lld::Result result = lld::lldMain(argv, outStream, errStream,
                                    {{lld::Gnu, &lld::elf::link}});
  if (result.retCode == 0)
    return llvm::Error::success();
  llvm::StringRef first = llvm::StringRef(err).ltrim().split('\n').first;
  first.consume_front("ld.lld: error: ");
  return makeError("linking failed: " + first);
}

/// The sanitizers' own runtime, in the kit of a sanitizer build only.
static std::vector<std::string> sanitizerArchives(const LinkKit &kit) {
  std::vector<std::string> paths;
  for (const char *name :
       {"libclang_rt.asan_static-x86_64.a", "libclang_rt.asan-x86_64.a",
        "libclang_rt.asan_cxx-x86_64.a"})
    if (std::string path = kit.directory + "/" + name;
        llvm::sys::fs::exists(path))
      paths.push_back(path);
  return paths;
}

llvm::Error moec::linkExecutable(const LinkKit &kit,
                                 llvm::ArrayRef<std::string> objects,
                                 llvm::StringRef output, Linkage linkage) {
  bool isStatic = linkage == Linkage::Static;
  std::vector<std::string> sanitizer = sanitizerArchives(kit);
  if (isStatic && !sanitizer.empty())
    return makeError("--static: the sanitizers need a dynamic libc; expected a "
                     "moec that is built without them");
  std::vector<std::string> arguments = {
      "ld.lld", "-o", output.str(), "-pie", "--gc-sections", "--build-id=none",
      "--eh-frame-hdr", "-z", "relro", "-z", "now"};
  auto add = [&](llvm::ArrayRef<const char *> names) {
    for (const char *name : names)
      arguments.push_back(kit.directory + "/" + name);
  };
  if (isStatic) {
    llvm::append_range(arguments, std::array{"-static", "--no-dynamic-linker",
                                             "-z", "text"});
    add({"rcrt1.o"});
  } else {
    llvm::append_range(arguments, std::array{"-dynamic-linker",
                                             "/lib64/ld-linux-x86-64.so.2"});
    add({"Scrt1.o"});
  }
  add({"crti.o", "crtbeginS.o"});
  llvm::append_range(arguments, objects);
  for (const std::string &archive : sanitizer)
    arguments.insert(arguments.end(), {"--export-dynamic", "--whole-archive",
                                       archive, "--no-whole-archive"});
  add({"libMoERuntimeMain.a", "libMoERuntime.a", "libpcre2-8.a",
       "libutf8proc.a", "libMoEOpenMP.a", "libstdc++.a"});
  if (isStatic)
    add({"libm.a", "libgcc.a", "libgcc_eh.a", "libc.a"});
  else
    add({"libm.so.6", "libgcc.a", "libgcc_eh.a", "libc.so.6",
         "libc_nonshared.a", "ld-linux-x86-64.so.2", "libgcc.a"});
  add({"crtendS.o", "crtn.o"});
  return runLinker(std::move(arguments));
}

llvm::Error moec::linkLibrary(const LinkKit &kit, llvm::StringRef object,
                              llvm::StringRef output, llvm::StringRef name) {
  auto in = [&](const char *name) { return kit.directory + "/" + name; };
  return runLinker({"ld.lld", "-shared", "-o", output.str(), "-soname",
                    name.str(), "--build-id=none", "-z", "relro", "-z", "now",
                    object.str(), in("libomp.so"), in("libc.so.6")});
}

llvm::Error moec::linkRelocatable(llvm::ArrayRef<llvm::StringRef> objects,
                                  llvm::StringRef output) {
  std::vector<std::string> arguments = {"ld.lld", "-r", "-o", output.str()};
  for (llvm::StringRef object : objects)
    arguments.push_back(object.str());
  return runLinker(std::move(arguments));
}
