//===- Codegen.cpp - From the LLVM dialect to an object -------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/Codegen.h"

#include "Diagnostics.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/OpenMP/OpenMPToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"

using namespace moec;

/// What code from the kernel builders needs. Its loops are as they should run:
/// no vectorizer, no unroller.
static constexpr llvm::StringLiteral kPipeline =
    "function(sroa,early-cse<memssa>,simplifycfg,"
    "instcombine<no-verify-fixpoint>,loop-mssa(loop-rotate,licm),simplifycfg)";

void moec::optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager cgscc;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(cgscc);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, cgscc, modules);
  llvm::ModulePassManager pipeline;
  if (llvm::Error error = builder.parsePassPipeline(pipeline, kPipeline))
    llvm::report_fatal_error(std::move(error)); // our own text
  pipeline.run(module, modules);
}

llvm::Expected<std::unique_ptr<llvm::Module>>
moec::translate(mlir::ModuleOp module, llvm::LLVMContext &context,
                llvm::TargetMachine &machine) {
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  mlir::registerOpenMPDialectTranslation(*module.getContext());
  // Private functions are nobody else's.
  module.walk([](mlir::LLVM::LLVMFuncOp function) {
    if (mlir::SymbolTable::getSymbolVisibility(function) ==
            mlir::SymbolTable::Visibility::Private &&
        !function.isExternal())
      function.setLinkage(mlir::LLVM::Linkage::Internal);
  });
  std::unique_ptr<llvm::Module> translated =
      mlir::translateModuleToLLVMIR(module, context, "moe");
  if (!translated)
    return makeError("translation to LLVM IR failed");
  translated->setTargetTriple(machine.getTargetTriple());
  translated->setDataLayout(machine.createDataLayout());
  for (llvm::Function &function : *translated) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("target-features", machine.getTargetFeatureString());
    function.addFnAttr(llvm::Attribute::NoUnwind);
    // A call of a kernel or a tile costs nothing beside what it does; one copy
    // of each, and no function so large that compiling it takes long.
    if (function.getName().starts_with("tile_") ||
        function.getName().starts_with("kernel_") ||
        function.getName().starts_with("attention_"))
      function.addFnAttr(llvm::Attribute::NoInline);
  }
  return translated;
}

void moec::askForTiles(llvm::Module &module) {
  if (!module.getFunction("llvm.x86.ldtilecfg"))
    return;
  llvm::LLVMContext &context = module.getContext();
  llvm::Type *i64 = llvm::Type::getInt64Ty(context);
  auto *function = llvm::Function::Create(
      llvm::FunctionType::get(llvm::Type::getVoidTy(context), false),
      llvm::GlobalValue::InternalLinkage, "ask_for_tiles", module);
  llvm::IRBuilder<> builder(
      llvm::BasicBlock::Create(context, "entry", function));
  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA). A refusal shows at the
  // first tile: there is nobody to tell here.
  llvm::Value *arguments[] = {builder.getInt64(158), builder.getInt64(0x1023),
                              builder.getInt64(18)};
  auto *type = llvm::FunctionType::get(i64, {i64, i64, i64}, false);
  builder.CreateCall(
      llvm::InlineAsm::get(type, "syscall",
                           "={rax},{rax},{rdi},{rsi},~{rcx},~{r11},~{memory}",
                           /*hasSideEffects=*/true),
      arguments);
  builder.CreateRetVoid();
  llvm::appendToGlobalCtors(module, function, /*Priority=*/65535);
}

llvm::Expected<llvm::SmallVector<char, 0>>
moec::emitMachineCode(llvm::Module &module, llvm::TargetMachine &machine,
                      llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> buffer;
  llvm::raw_svector_ostream stream(buffer);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type))
    return makeError("the target cannot emit this kind of file");
  passes.run(module);
  return buffer;
}

/// OpenMP's entry points that lib/Runtime/OpenMP has, and what LLVM calls for
/// copies and fills.
static bool isAllowed(llvm::StringRef name) {
  return llvm::is_contained({"__kmpc_fork_call", "__kmpc_push_num_threads",
                             "__kmpc_global_thread_num", "__kmpc_barrier",
                             "__kmpc_for_static_init_8u",
                             "__kmpc_for_static_fini", "memcpy", "memset",
                             "_GLOBAL_OFFSET_TABLE_"},
                            name);
}

llvm::Error moec::checkUndefinedSymbols(llvm::StringRef object) {
  auto file = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(object, "generated object"));
  if (!file)
    return file.takeError();
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    llvm::Expected<uint32_t> flags = symbol.getFlags();
    if (!flags)
      return flags.takeError();
    if (!(*flags & llvm::object::SymbolRef::SF_Undefined))
      continue;
    llvm::Expected<llvm::StringRef> name = symbol.getName();
    if (!name)
      return name.takeError();
    if (!name->empty() && !isAllowed(*name))
      return makeError("generated code calls '" + *name +
                       "', which is not compiled from IR");
  }
  return llvm::Error::success();
}
