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
/// The cache type that is the weights' element type.
CacheType defaultCacheType(const ModelConfig &config);

/// Builds the step of a model in phase `import`: one private function for each
/// distinct layer configuration, and a public `moe_step`
///
///   (tokens: tensor<?xi32>, position: index, rows: index) -> tensor<?xVxf32>
///
/// that calls them in order. Weights are declared under their logical names
/// (WeightMap.h), with gate and up joined as `...gate_up`, and `rope.inv_freq`.
/// `activation` is the element type of what products with weights read.
/// `format`, if there is one, is that of the matrices of layers; embedding,
/// head, norms and routers keep the checkpoint's type.
mlir::OwningOpRef<mlir::ModuleOp> buildModel(mlir::MLIRContext &context,
                                             const ModelConfig &config,
                                             ElementType activation,
                                             CacheType cache,
                                             std::optional<mlir::lm::Format>
                                                 format = {});

} // namespace moe

#endif // MOE_IMPORT_MODELBUILDER_H
