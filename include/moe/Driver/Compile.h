//===- Compile.h - What moec does -------------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DRIVER_COMPILE_H
#define MOE_DRIVER_COMPILE_H

#include "moe/Driver/Link.h"
#include "moe/Import/ModelBuilder.h"
#include "moe/Pipelines/Pipelines.h"

#include "llvm/Support/Error.h"
#include <optional>
#include <string>
#include <vector>

namespace moec {

enum class Emit { Executable, Library, Header, Object, Assembly, LLVM, MLIR };

std::optional<Emit> parseEmit(llvm::StringRef name);

/// Where an executable's weights are: in a section of its own, or in a file
/// beside it, OUTPUT.weights.
enum class WeightsPlace { Embedded, External };

struct CompileOptions {
  /// A Hugging Face directory, a config.json, or a .mlir file.
  std::string input;
  /// Empty: named after the input, in the current directory.
  std::string output;
  std::vector<Emit> emits;
  /// With Emit::MLIR: the phase to stop after.
  Phase compileTo = Phase::LLVM;
  /// Names with commas; empty is this host.
  std::string target;
  bool emulateISA = false;
  /// What the KV cache may hold, the default first; where none is named, see
  /// defaultCacheTypes.
  std::vector<::moe::CacheType> cacheTypes;
  /// What attention multiplies: f32, or bf16 queries and weights of values.
  ::moe::ElementType attention = ::moe::ElementType::F32;
  /// Of layers' matrices; the checkpoint's type if it is not set.
  std::optional<mlir::lm::Format> weightFormat;
  /// How rows enter products with such weights: Int8 (the default) or F32.
  std::optional<mlir::lm::Format> activations;
  /// Generated weights instead of the checkpoint's.
  std::optional<uint64_t> randomSeed;
  WeightsPlace weightsPlace = WeightsPlace::Embedded;
  /// Of an executable.
  Linkage linkage = Linkage::Dynamic;
  /// Most tokens of one call of the step.
  int64_t chunk = 512;
  unsigned threads = 2;
  /// Which kernels were made and why, on stderr.
  bool remarks = false;
  /// What remarks predict times by, in bytes and FLOPs a second: 0 for no
  /// times.
  double readRate = 0, peak = 0;
  /// Times of the phases on stderr.
  bool timing = false;
  const char *argv0 = "moec";
};

/// Compiles; on failure there is no output, and the error is one line.
llvm::Error compile(const CompileOptions &options);

} // namespace moec

#endif // MOE_DRIVER_COMPILE_H
