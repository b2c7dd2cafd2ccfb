//===- BufferContext.h - What functions in buffer form are given -*- C++ -*-==//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECTS_MOE_TRANSFORMS_BUFFERCONTEXT_H
#define MOE_DIALECTS_MOE_TRANSFORMS_BUFFERCONTEXT_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::moe {

/// On the function that is a model's step (docs/executable-format.md).
inline constexpr llvm::StringLiteral kStepAttr = "lm.step";
/// On a memref.alloc: rows for each token of the function's input.
inline constexpr llvm::StringLiteral kRowsPerTokenAttr = "lm.rows_per_token";
/// On a function that records routing: its top_k.
inline constexpr llvm::StringLiteral kRecordSlotsAttr = "lm.record_slots";
/// On the view that becomes the scratch of all slots.
inline constexpr llvm::StringLiteral kScratchAttr = "lm.scratch";
/// On the module: sizes of weights, state and records.
inline constexpr llvm::StringLiteral kLayoutAttr = "lm.layout";
/// On the module: {per_token, fixed, per_thread} bytes of the arena.
inline constexpr llvm::StringLiteral kArenaAttr = "lm.arena";

/// The last arguments of every private function, in this order; an entry
/// function has arena, capacity, extent and slots only.
struct BufferContext {
  Value weights;      // memref<?xi8>
  Value record;       // memref<?xindex>: offsets of this call's weights
  Value arena;        // memref<?xi8>: temporaries
  Value scratch;      // memref<?xi8>: of all slots
  Value routeIds;     // memref<?xi32>
  Value routeWeights; // memref<?xf32>
  Value capacity;     // index: most tokens of a call
  Value extent;       // index: positions that a cache holds
  Value keyType;      // index: element type of keys, of those of !lm.state
  Value valueType;    // index: that of values
  Value slots;        // index
  static constexpr unsigned kArguments = 11;
  /// How many of its arguments belong to the context in an entry function, and
  /// all those of a model's step.
  static constexpr unsigned kEntryArguments = 4, kStepArguments = 14;

  // Known inside one function only.
  Value kv, recordOffset;
  SmallVector<Value> results;

  /// Adds the arguments to a block and remembers them.
  void addArguments(Block &block, OpBuilder &builder);
  void addEntryArguments(Block &block, OpBuilder &builder);
  /// Appends what a call passes.
  void appendTo(SmallVectorImpl<Value> &operands) const;
};

/// A constant record of offsets, as a memref<?xindex>.
Value buildRecord(OpBuilder &builder, Location loc, ArrayRef<int64_t> record);

/// Marks where scratch starts in the arena of an entry function; its offset is
/// known only after phase `buffers` has laid out the arena.
void addScratchPlaceholder(OpBuilder &builder, Location loc,
                           BufferContext &context);

} // namespace mlir::moe

#endif // MOE_DIALECTS_MOE_TRANSFORMS_BUFFERCONTEXT_H
