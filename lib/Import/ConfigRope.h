//===- ConfigRope.h - The RoPE fields of a config ---------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_LIB_IMPORT_CONFIGROPE_H
#define MOE_LIB_IMPORT_CONFIGROPE_H

#include "ConfigFields.h"

#include "moe/Import/RotaryEmbedding.h"

namespace moe {

struct RopeDefaults {
  double theta = 10000.0;
  int64_t headDim = 0;
  int64_t maxPositions = 0;
};

/// Reads rope_parameters (transformers 5) or rope_theta and rope_scaling
/// (before). Names of fields that nothing reads are added to `unread`.
RopeConfig readRope(ConfigFields &fields, const RopeDefaults &defaults,
                    llvm::StringRef origin, std::vector<std::string> &unread);

} // namespace moe

#endif // MOE_LIB_IMPORT_CONFIGROPE_H
