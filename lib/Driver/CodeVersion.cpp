//===- CodeVersion.cpp - A model's code for one target --------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "CodeVersion.h"

#include "Diagnostics.h"
#include "dialects/LM/IR/WeightFormat.h"
#include "dialects/MoE/Transforms/BufferContext.h"
#include "moe/Driver/Codegen.h"

#include "llvm/IR/Constants.h"

using namespace moec;

llvm::ArrayRef<int64_t> moec::stateBytesPerPosition(mlir::ModuleOp module) {
  auto layout =
      module->getAttrOfType<mlir::DictionaryAttr>(mlir::moe::kLayoutAttr);
  if (!layout)
    return {};
  return layout
      .getAs<mlir::DenseI64ArrayAttr>("state_bytes_per_position")
      .asArrayRef();
}

StepSizes StepSizes::of(mlir::ModuleOp module) {
  auto number = [&](llvm::StringRef dictionary, llvm::StringRef name) {
    auto attr = module->getAttrOfType<mlir::DictionaryAttr>(dictionary);
    return attr ? attr.getAs<mlir::IntegerAttr>(name).getInt() : 0;
  };
  return {number(mlir::moe::kArenaAttr, "per_token"),
          number(mlir::moe::kArenaAttr, "fixed"),
          number(mlir::moe::kArenaAttr, "per_thread"),
          number(mlir::moe::kLayoutAttr, "weight_bytes"),
          llvm::to_vector(stateBytesPerPosition(module))};
}

std::string moec::recipesOf(moe::ElementType weights,
                            std::optional<mlir::lm::Format> format,
                            moe::ElementType attention,
                            const kernels::Target &target) {
  std::string pairs = target.recipeName();
  kernels::Target wide = target;
  wide.recipe = kernels::Recipe::WidenFMA;
  // Head and router of a quantised model read rows of f32.
  bool hasPairs = weights == moe::ElementType::BF16 && !format;
  std::string names;
  if (format && target.floatActivations)
    names = wide.recipeName() + " (" +
            mlir::lm::stringifyFormat(*format).str() +
            " weights, activations f32), ";
  else if (format)
    names = mlir::lm::QuantisedLayout::of(*format).spansRow() ? "row-sums, "
                                                              : "group-sums, ";
  names += hasPairs ? pairs : wide.recipeName();
  if (attention == moe::ElementType::BF16 && !hasPairs)
    names += ", " + pairs + " in attention";
  return names;
}

static constexpr llvm::StringLiteral kStepName = "_mlir_ciface_moe_step";

static std::string suffixOf(const MachineDescription &machine) {
  return "." + machine.cpu;
}

void moec::makeNamesDistinct(llvm::Module &module,
                             const MachineDescription &machine) {
  for (llvm::GlobalObject &global : module.global_objects())
    if (!global.isDeclaration())
      global.setName(global.getName() + suffixOf(machine));
}

llvm::Error moec::checkOneLayout(llvm::ArrayRef<CodeVersion> versions) {
  auto same = [](const WeightPlacement &a, const WeightPlacement &b) {
    return a.name == b.name && a.type == b.type && a.offset == b.offset;
  };
  for (const CodeVersion &version : versions.drop_front())
    if (!llvm::equal(version.placements, versions[0].placements, same) ||
        version.sizes.weights != versions[0].sizes.weights)
      return makeError("--target: " + versions[0].machine.cpu + " and " +
                       version.machine.cpu +
                       " lay out weights differently; expected an executable "
                       "for each");
  return llvm::Error::success();
}

llvm::Expected<llvm::SmallVector<char, 0>>
moec::emitVersionTable(llvm::ArrayRef<CodeVersion> versions) {
  auto target = createTargetMachine(versions.front().machine);
  if (!target)
    return target.takeError();
  llvm::LLVMContext context;
  llvm::Module module("versions", context);
  module.setTargetTriple((*target)->getTargetTriple());
  module.setDataLayout((*target)->createDataLayout());
  auto *pointer = llvm::PointerType::get(context, 0);
  auto *i64 = llvm::Type::getInt64Ty(context);
  auto *entry = llvm::StructType::get(pointer, i64, pointer);
  auto *function = llvm::FunctionType::get(llvm::Type::getVoidTy(context), {});
  auto constant = [&](llvm::Constant *value, bool isPublic,
                      llvm::StringRef name) {
    return new llvm::GlobalVariable(
        module, value->getType(), /*isConstant=*/true,
        isPublic ? llvm::GlobalValue::ExternalLinkage
                 : llvm::GlobalValue::PrivateLinkage,
        value, name);
  };
  llvm::SmallVector<llvm::Constant *> entries;
  for (const CodeVersion &version : versions) {
    std::string step = kStepName.str();
    if (versions.size() > 1)
      step += suffixOf(version.machine);
    llvm::Constant *name =
        llvm::ConstantDataArray::getString(context, version.machine.cpu);
    entries.push_back(llvm::ConstantStruct::get(
        entry,
        {constant(name, /*isPublic=*/false, "name"),
         llvm::ConstantInt::get(i64, version.layout),
         llvm::Function::Create(function, llvm::GlobalValue::ExternalLinkage,
                                step, module)}));
  }
  auto *table = llvm::ArrayType::get(entry, entries.size());
  constant(llvm::ConstantArray::get(table, entries), /*isPublic=*/true,
           "moe_code_versions");
  constant(
      llvm::ConstantInt::get(i64, entries.size()),
      /*isPublic=*/true, "moe_code_version_count");
  return emitMachineCode(module, **target, llvm::CodeGenFileType::ObjectFile);
}
