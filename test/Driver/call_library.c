//===- call_library.c - Calls a function of an emitted library ------------===//
//
// Part of moe-mlir. For machines that have no Python:
//
//   call_library LIBRARY FUNCTION TOKENS THREADS ARGUMENT...
//
// An argument is in:FILE, a buffer; pack:NUMBER:FILE, a weight that the library
// packs, written to FILE.packed; state:BYTES; int:VALUE; or out:BYTES:FILE, a
// result. TOKENS may be followed by :POSITIONS.
//
//===----------------------------------------------------------------------===//

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 };

static void *library;
static const char *function;

static void fail(const char *what, const char *name) {
  fprintf(stderr, "call_library: %s: %s\n", what, name);
  exit(1);
}

static void *find(const char *suffix) {
  char name[256];
  snprintf(name, sizeof name, "%s%s", function, suffix);
  void *address = dlsym(library, name);
  if (!address)
    fail("no such function", name);
  return address;
}

static void *allocate(int64_t bytes) {
  void *memory = aligned_alloc(64, (size_t)(bytes + 64) / 64 * 64);
  if (!memory)
    fail("out of memory", function);
  return memset(memory, 0, (size_t)(bytes + 64) / 64 * 64);
}

static void *readFile(const char *name) {
  FILE *file = fopen(name, "rb");
  if (!file)
    fail("cannot be read", name);
  fseek(file, 0, SEEK_END);
  long bytes = ftell(file);
  rewind(file);
  void *memory = allocate(bytes);
  if (fread(memory, 1, (size_t)bytes, file) != (size_t)bytes)
    fail("cannot be read", name);
  fclose(file);
  return memory;
}

static void writeFile(const char *name, const void *memory, int64_t bytes) {
  FILE *file = fopen(name, "wb");
  if (!file || fwrite(memory, 1, (size_t)bytes, file) != (size_t)bytes ||
      fclose(file))
    fail("cannot be written", name);
}

static void *packWeight(int64_t number, const char *name) {
  int64_t (*size)(int64_t) = find("_packed_size");
  int (*pack)(int64_t, const void *, void *) = find("_pack");
  void *logical = readFile(name), *packed = allocate(size(number));
  if (pack(number, logical, packed))
    fail("cannot be packed", name);
  char output[512];
  snprintf(output, sizeof output, "%s.packed", name);
  writeFile(output, packed, size(number));
  return packed;
}

int main(int argc, char **argv) {
  if (argc < 5 || argc > MOST)
    fail("expected LIBRARY FUNCTION TOKENS THREADS ARGUMENT...", argv[0]);
  library = dlopen(argv[1], RTLD_NOW);
  if (!library)
    fail("cannot be loaded", dlerror());
  function = argv[2];
  char *colon = strchr(argv[3], ':');
  int64_t tokens = atoll(argv[3]), threads = atoll(argv[4]);
  int64_t passed[MOST] = {0}, outputBytes[MOST];
  const char *outputs[MOST] = {0};
  int count = 0;
  for (int i = 5; i < argc; ++i, ++count) {
    char *kind = argv[i], *value = strchr(kind, ':');
    if (!value)
      fail("expected KIND:VALUE", kind);
    *value++ = 0;
    char *file = strchr(value, ':');
    if (!strcmp(kind, "in"))
      passed[count] = (int64_t)readFile(value);
    else if (!strcmp(kind, "pack") && file)
      passed[count] = (int64_t)packWeight(atoll(value), file + 1);
    else if (!strcmp(kind, "state"))
      passed[count] = (int64_t)allocate(atoll(value));
    else if (!strcmp(kind, "int"))
      passed[count] = atoll(value);
    else if (!strcmp(kind, "out") && file) {
      outputBytes[count] = atoll(value);
      passed[count] = (int64_t)allocate(outputBytes[count]);
      outputs[count] = file + 1;
    } else
      fail("unknown kind of argument", kind);
  }
  int results = count;
  int64_t (*arenaSize)(int64_t, int64_t) = find("_arena_size");
  passed[count++] = tokens;
  if (colon)
    passed[count++] = atoll(colon + 1);
  passed[count++] = (int64_t)allocate(arenaSize(tokens, threads));
  passed[count++] = threads;
  // Pointers and int64_t go to the same places; more of them hurt nobody.
  int (*call)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
              int64_t, int64_t, int64_t, int64_t, int64_t) = find("");
  if (count > 12 ||
      call(passed[0], passed[1], passed[2], passed[3], passed[4], passed[5],
           passed[6], passed[7], passed[8], passed[9], passed[10], passed[11]))
    fail("the call failed", function);
  for (int i = 0; i < results; ++i)
    if (outputs[i])
      writeFile(outputs[i], (void *)passed[i], outputBytes[i]);
  return 0;
}
