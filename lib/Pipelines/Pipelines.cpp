//===- Pipelines.cpp - The named phases of compilation --------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Pipelines/Pipelines.h"

#include "dialects/LM/Transforms/Passes.h"
#include "dialects/MoE/Transforms/Passes.h"
#include "moe/Kernels/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace moec;

namespace {
struct NamedPhase {
  Phase phase;
  llvm::StringLiteral name, summary;
};
constexpr NamedPhase kPhases[] = {
    {Phase::Import, "import", "what the importer built"},
    {Phase::MoE, "moe", "moe.layer in terms of smaller ops"},
    {Phase::Fused, "fused", "gating, experts and epilogues fused"},
    {Phase::Buffers, "buffers", "memrefs in one arena, packed weights"},
    {Phase::Tiled, "tiled", "parallel calls of kernels"},
    {Phase::Vector, "vector", "kernels as loops over vectors"},
    {Phase::LLVM, "llvm", "one parallel region a step, LLVM dialect"},
};
} // namespace

StringRef moec::getPhaseName(Phase phase) {
  return kPhases[static_cast<int>(phase)].name;
}

std::optional<Phase> moec::getPhase(StringRef name) {
  for (const NamedPhase &named : kPhases)
    if (named.name == name)
      return named.phase;
  return std::nullopt;
}

ArrayRef<Phase> moec::getPhases() {
  static const Phase phases[] = {Phase::Import,  Phase::MoE,   Phase::Fused,
                                 Phase::Buffers, Phase::Tiled, Phase::Vector,
                                 Phase::LLVM};
  return phases;
}

namespace {
/// Lays out the arena with the scratch that this module's kernels need.
struct PlanArenaForKernels
    : PassWrapper<PlanArenaForKernels, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlanArenaForKernels)

  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<memref::MemRefDialect, arith::ArithDialect>();
  }
  void runOnOperation() override {
    mlir::moe::MoEPlanArenaOptions options;
    options.scratchBytes = kernels::getScratchBytes(getOperation());
    OpPassManager pm(ModuleOp::getOperationName());
    pm.addPass(mlir::moe::createMoEPlanArena(options));
    if (failed(runPipeline(pm, getOperation())))
      signalPassFailure();
  }
};
} // namespace

static void addLLVMPhase(OpPassManager &pm) {
  pm.addPass(kernels::createFormStep());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertOpenMPToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
}

void moec::addPhase(OpPassManager &pm, Phase phase) {
  switch (phase) {
  case Phase::Import:
    break;
  case Phase::MoE:
    pm.addPass(mlir::moe::createMoEDecomposeLayer());
    break;
  case Phase::Fused:
    pm.addPass(mlir::moe::createMoEFuseGating());
    pm.addPass(mlir::moe::createMoEFuseExperts());
    pm.addPass(mlir::moe::createMoEFuseCombine());
    pm.addPass(lm::createLMFuseGatedLinear());
    break;
  case Phase::Buffers:
    pm.addPass(mlir::moe::createMoESplitPhases());
    pm.addPass(mlir::moe::createMoEPackWeights());
    pm.addPass(mlir::moe::createMoEToBuffers());
    pm.addPass(createCSEPass());
    pm.addPass(std::make_unique<PlanArenaForKernels>());
    pm.addPass(mlir::moe::createMoEVerifyBuffers());
    break;
  case Phase::Tiled:
    pm.addPass(kernels::createOutlineKernels());
    break;
  case Phase::Vector:
    pm.addPass(kernels::createExpandKernels());
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
    break;
  case Phase::LLVM:
    addLLVMPhase(pm);
    break;
  }
}

LogicalResult moec::runPhases(ModuleOp module, Phase last, bool verifyEach) {
  PassManager pm(module.getContext());
  pm.enableVerifier(verifyEach);
  for (Phase phase : getPhases())
    if (phase <= last)
      addPhase(pm, phase);
  return pm.run(module);
}

void moec::registerPassesAndPipelines() {
  lm::registerLMPasses();
  mlir::moe::registerMoEPasses();
  kernels::registerMoEKernelsPasses();
  for (const NamedPhase &named : kPhases) {
    if (named.phase == Phase::Import)
      continue;
    PassPipelineRegistration<>(
        ("phase-" + named.name).str(),
        ("From the phase before to phase " + named.name + ": " + named.summary)
            .str(),
        [phase = named.phase](OpPassManager &pm) { addPhase(pm, phase); });
  }
}

void moec::registerDialects(DialectRegistry &registry) {
  registry.insert<lm::LMDialect, mlir::moe::MoEDialect, arith::ArithDialect,
                  func::FuncDialect, memref::MemRefDialect, scf::SCFDialect,
                  vector::VectorDialect, math::MathDialect, omp::OpenMPDialect,
                  cf::ControlFlowDialect, LLVM::LLVMDialect,
                  tensor::TensorDialect, affine::AffineDialect>();
}
