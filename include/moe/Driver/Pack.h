//===- Pack.h - Weights into the layout that kernels read -------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DRIVER_PACK_H
#define MOE_DRIVER_PACK_H

#include "dialects/LM/IR/LMDialect.h"
#include "moe/Import/WeightMap.h"

#include "llvm/Support/Error.h"
#include <functional>
#include <future>

namespace moec {

/// Rows of one weight, wherever they come from: an f32 row at a time.
struct RowReader {
  /// Reads row `row` of matrix `expert` into `out` (K elements).
  std::function<void(int64_t expert, int64_t row,
                     llvm::MutableArrayRef<float> out)>
      read;
  /// The same row as it lies in memory, or nothing; its type must be the
  /// weight's for a plain copy.
  std::function<std::optional<moe::RawRow>(int64_t expert, int64_t row)> raw;
};

/// Packs panels [firstPanel, firstPanel + count) of matrix `expert`, or for
/// row_major `count` rows from `firstPanel`, into `out`.
void packPanels(mlir::lm::PackedType type, const RowReader &reader,
                int64_t expert, int64_t firstPanel, int64_t count,
                llvm::MutableArrayRef<char> out);

/// A reader for a declared weight of an imported model: its logical weight, or
/// the gate and up weights that `...gate_up` joins.
llvm::Expected<RowReader> findRows(llvm::StringRef name,
                                   const moe::WeightSource &source,
                                   const moe::ModelConfig &config);

/// Where a declared weight lies in the payload.
struct WeightPlacement {
  std::string name;
  mlir::lm::PackedType type;
  int64_t offset;
};

/// The placements of a module that has passed phase `buffers`, in order of
/// offset. The declarations leave the module: they mean nothing to LLVM.
std::vector<WeightPlacement> takePlacements(mlir::ModuleOp module);

/// In a thread, or, where none can be had, when its result is asked for.
inline constexpr std::launch kThreadIfPossible =
    std::launch::async | std::launch::deferred;

/// Packs weights with `threads` threads and hands runs of bytes to `sink` in
/// order, while those threads pack what comes next.
llvm::Error
packWeights(llvm::ArrayRef<WeightPlacement> placements,
            const moe::WeightSource &source, const moe::ModelConfig &config,
            unsigned threads,
            llvm::function_ref<llvm::Error(llvm::ArrayRef<char>)> sink);

} // namespace moec

#endif // MOE_DRIVER_PACK_H
