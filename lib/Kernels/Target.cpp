//===- Target.cpp - What kernels need to know of a machine ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Kernels/Target.h"

#include "dialects/LM/IR/WeightFormat.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace moec::kernels;

static constexpr llvm::StringLiteral kTargetAttr = "lm.target";

Target Target::of(ModuleOp module) {
  Target target;
  target.floatActivations = lm::hasFloatActivations(module);
  auto attr = module->getAttrOfType<DictionaryAttr>(kTargetAttr);
  if (!attr)
    return target;
  if (auto lanes = attr.getAs<IntegerAttr>("lanes"))
    target.lanes = lanes.getInt();
  if (auto registers = attr.getAs<IntegerAttr>("registers"))
    target.registers = registers.getInt();
  if (auto budget = attr.getAs<IntegerAttr>("row_budget"))
    target.rowBudget = budget.getInt();
  if (auto panels = attr.getAs<IntegerAttr>("stream_panels"))
    target.streamPanels = panels.getInt();
  if (auto lines = attr.getAs<IntegerAttr>("prefetch_lines"))
    target.prefetchLines = lines.getInt();
  if (auto lines = attr.getAs<IntegerAttr>("block_prefetch_lines"))
    target.blockPrefetchLines = lines.getInt();
  if (auto level = attr.getAs<IntegerAttr>("block_prefetch_level"))
    target.blockPrefetchLevel = level.getInt();
  if (attr.contains("dot_pairs"))
    target.recipe = Recipe::DotPairs;
  if (attr.contains("tile_pairs"))
    target.recipe = Recipe::TilePairs;
  if (attr.contains("odd_pairs"))
    target.recipe = Recipe::OddPairs;
  target.dotQuads = attr.contains("dot_quads");
  target.signedQuads = attr.contains("signed_quads");
  target.tileQuads = attr.contains("tile_quads");
  if (attr.contains("aarch64"))
    target.architecture = Architecture::AArch64;
  target.emulate = attr.contains("emulate");
  target.blocksFromChunk = attr.contains("blocks_from_chunk");
  return target;
}

void Target::setOn(ModuleOp module) const {
  Builder builder(module.getContext());
  NamedAttrList attrs;
  attrs.append("lanes", builder.getI64IntegerAttr(lanes));
  attrs.append("registers", builder.getI64IntegerAttr(registers));
  attrs.append("row_budget", builder.getI64IntegerAttr(rowBudget));
  attrs.append("stream_panels", builder.getI64IntegerAttr(streamPanels));
  attrs.append("prefetch_lines", builder.getI64IntegerAttr(prefetchLines));
  attrs.append("block_prefetch_lines",
               builder.getI64IntegerAttr(blockPrefetchLines));
  attrs.append("block_prefetch_level",
               builder.getI64IntegerAttr(blockPrefetchLevel));
  if (recipe == Recipe::DotPairs)
    attrs.append("dot_pairs", builder.getUnitAttr());
  if (recipe == Recipe::TilePairs)
    attrs.append("tile_pairs", builder.getUnitAttr());
  if (recipe == Recipe::OddPairs)
    attrs.append("odd_pairs", builder.getUnitAttr());
  if (dotQuads)
    attrs.append("dot_quads", builder.getUnitAttr());
  if (signedQuads)
    attrs.append("signed_quads", builder.getUnitAttr());
  if (tileQuads)
    attrs.append("tile_quads", builder.getUnitAttr());
  if (isAArch64())
    attrs.append("aarch64", builder.getUnitAttr());
  if (emulate)
    attrs.append("emulate", builder.getUnitAttr());
  if (blocksFromChunk)
    attrs.append("blocks_from_chunk", builder.getUnitAttr());
  if (floatActivations)
    module->setAttr(lm::kActivationsAttr,
                    lm::FormatAttr::get(module.getContext(), lm::Format::F32));
  module->setAttr(kTargetAttr, attrs.getDictionary(module.getContext()));
}

std::string Target::recipeName() const {
  switch (recipe) {
  case Recipe::WidenFMA:
    return "widen-f32-fma";
  case Recipe::DotPairs:
    return "bf16-dot-pairs";
  case Recipe::TilePairs:
    return "bf16-tile-pairs";
  case Recipe::OddPairs:
    return "bf16-odd-pairs";
  case Recipe::GroupSums:
    return "group-sums";
  }
  llvm_unreachable("no such recipe");
}
