//===- CompiledABI.h - What generated code and the runtime agree on -------===//
//
// Part of moe-mlir. See docs/executable-format.md for the meaning of each
// argument; this header is the only place where the C types are spelled out.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMPILEDABI_H
#define MOE_RUNTIME_COMPILEDABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// MLIR's descriptor of a one-dimensional memref. `size` counts elements.
typedef struct MoeMemRef1 {
  void *allocated;
  void *aligned;
  int64_t offset;
  int64_t size;
  int64_t stride;
} MoeMemRef1;

/// One forward step of the model: T tokens of one sequence.
typedef void (*MoeStepFunction)(
    const MoeMemRef1 *weights, const MoeMemRef1 *kv, const MoeMemRef1 *arena,
    const MoeMemRef1 *tokens, const MoeMemRef1 *logits,
    const MoeMemRef1 *routeIds, const MoeMemRef1 *routeWeights,
    int64_t position, int64_t context, int64_t capacity, int64_t rows,
    int64_t keyType, int64_t valueType, int64_t threads);

/// The model's code for one target.
typedef struct MoeCodeVersion {
  /// The target's name, as in the payload's header: "x86-64-v4".
  const char *target;
  /// A hash of what the code and its payload agree on: the payload's
  /// `targets[i].layout`.
  uint64_t layout;
  MoeStepFunction step;
} MoeCodeVersion;

/// The function table of an executable: its versions, in the order of the
/// payload's `targets`.
extern const MoeCodeVersion moe_code_versions[];
extern const int64_t moe_code_version_count;

#ifdef __cplusplus
} // extern "C"

static_assert(sizeof(MoeMemRef1) == 40, "must match MLIR's descriptor");
static_assert(sizeof(MoeCodeVersion) == 24, "must match the emitted table");
#endif

#endif // MOE_RUNTIME_COMPILEDABI_H
