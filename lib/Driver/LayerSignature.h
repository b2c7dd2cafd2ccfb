//===- LayerSignature.h - Functions of a graph as C sees them ---*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_DRIVER_LAYERSIGNATURE_H
#define MOE_LIB_DRIVER_LAYERSIGNATURE_H

#include "GraphFile.h"
#include "dialects/LM/IR/LMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace moec {

/// How many rows a tensor has.
struct RowCount {
  enum Kind { Fixed, PerToken, Argument } kind = Fixed;
  /// The rows, the rows a token, or the number of the argument that says.
  int64_t value = 0;
};

/// One argument or result of a public function.
struct LayerValue {
  enum Kind { Rows, Weight, State, Scalar } kind;
  std::string name;
  /// As the graph declares it.
  mlir::Type type;
  /// Of a weight: what the kernels read.
  mlir::lm::PackedType packed;
  /// Of a tensor that is no weight.
  RowCount rows;

  /// Shape and element type of a tensor or weight.
  mlir::RankedTensorType tensor() const {
    return mlir::cast<mlir::RankedTensorType>(type);
  }
};

/// A public function as C sees it:
///   int NAME(arguments, results, tokens, [positions,] arena, threads)
struct LayerSignature {
  std::string name;
  std::vector<LayerValue> arguments, results;

  std::vector<const LayerValue *> weights() const;
  bool hasState() const;
  /// Whether no tokens means that there is nothing to write.
  bool isEmptyWithoutTokens() const;
};
using LayerSignatures = std::vector<LayerSignature>;

/// What C calls besides the function itself: suffixes of its name.
inline constexpr llvm::StringLiteral kLayerSuffixes[] = {
    "", "_arena_size", "_packed_size", "_pack", "_describe"};

/// Most tokens of one call.
inline constexpr int64_t kLayerMaxTokens = int64_t(1) << 24;
/// Most threads of one call.
inline constexpr int64_t kLayerMaxThreads = 1024;

/// The public functions of a graph that was just read, or why C cannot call
/// one of them.
llvm::Expected<LayerSignatures> collectLayers(const GraphFile &graph);

} // namespace moec

#endif // MOE_LIB_DRIVER_LAYERSIGNATURE_H
