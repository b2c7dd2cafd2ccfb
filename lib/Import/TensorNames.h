//===- TensorNames.h - What checkpoints call the weights --------*- C++ -*-===//
//
// Part of moe-mlir. transformers writes published names by default and the
// names of its modules on request, where the experts of a layer are one tensor;
// both load. This is the table of both.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_TENSORNAMES_H
#define MOE_LIB_IMPORT_TENSORNAMES_H

#include "moe/Import/WeightMap.h"

#include <string>

namespace moe {

/// Names relative to a layer ("self_attn.q_proj.weight") or, outside the
/// layers, to the model ("norm.weight"; the head is "lm_head.weight" without
/// prefix). Not for expert matrices. Mixtral's router is called differently
/// `fused`.
std::string tensorName(const ModelConfig &config, const LogicalWeight &weight,
                       bool fused);

/// An expert matrix of a published checkpoint, relative to its layer:
/// "mlp.experts.3.gate_proj.weight".
std::string expertTensorName(const ModelConfig &config,
                             const LogicalWeight &weight, int64_t expert);

/// One of a layer's two expert tensors where they are fused:
/// "mlp.experts.gate_up_proj" [E,2F,H], gate rows first, or "down_proj"
/// [E,H,F].
std::string fusedTensorName(const LogicalWeight &weight);

/// Which of a layer's weights this is: "experts.gate".
llvm::StringRef weightKind(const LogicalWeight &weight);

} // namespace moe

#endif // MOE_LIB_IMPORT_TENSORNAMES_H
