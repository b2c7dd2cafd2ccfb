//===- ModelBuilder.h - From a model's config to IR -------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_IMPORT_MODELBUILDER_H
#define MOE_IMPORT_MODELBUILDER_H

#include "dialects/LM/IR/LMDialect.h"
#include "moe/Import/ModelConfig.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <optional>

namespace moe {

/// What a KV cache holds: floats, or integers with a scale (see !lm.state).
enum class CacheType { F32, F16, BF16, Q8_0 };

/// "f32", "f16", "bf16" or "q8_0".
llvm::StringRef cacheTypeName(CacheType type);
std::optional<CacheType> parseCacheTypeName(llvm::StringRef name);
/// All cache types, first the one that is the weights' element type.
std::vector<CacheType> defaultCacheTypes(const ModelConfig &config);

/// Types that are the compiler's choice, not the checkpoint's.
struct StepTypes {
  /// Of what products with weights read.
  ElementType activation = ElementType::F32;
  /// Of what attention multiplies with the cache.
  ElementType queries = ElementType::F32;
  /// What a cache may hold.
  std::vector<CacheType> caches;
  /// Of layers' matrices, if they are quantised; embedding, head, norms and
  /// routers keep the checkpoint's type.
  std::optional<mlir::lm::Format> format;
};

/// Builds the step of a model in phase `import`: one private function for each
/// distinct layer configuration, and a public `moe_step`
///
///   (tokens: tensor<?xi32>, position: index, rows: index) -> tensor<?xVxf32>
///
/// that calls them in order. Weights are declared under their logical names
/// (WeightMap.h), with gate and up joined as `...gate_up`, and `rope.inv_freq`.
mlir::OwningOpRef<mlir::ModuleOp> buildModel(mlir::MLIRContext &context,
                                             const ModelConfig &config,
                                             const StepTypes &types);

} // namespace moe

#endif // MOE_IMPORT_MODELBUILDER_H
