//===- CompiledFunction.cpp - A function, compiled and callable -----------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "CompiledFunction.h"

#include "dialects/MoE/Transforms/Passes.h"
#include "moe/Driver/Codegen.h"
#include "moe/Pipelines/Pipelines.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cstdint>
#include <map>

using namespace mlir;
using namespace moec;
using namespace moec::reference;
using namespace moec::test;

static func::FuncOp publicFunction(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPublic())
      return function;
  return nullptr;
}

/// The layout of every weight, which phase `buffers` decides and then drops.
static LogicalResult findArgumentTypes(ModuleOp module,
                                       SmallVectorImpl<Type> &types) {
  OwningOpRef<ModuleOp> copy = module.clone();
  PassManager pm(module.getContext());
  addPhase(pm, Phase::MoE);
  addPhase(pm, Phase::Fused);
  pm.addPass(mlir::moe::createMoESplitPhases());
  pm.addPass(mlir::moe::createMoEPackWeights());
  if (failed(pm.run(*copy)))
    return failure();
  llvm::append_range(types, publicFunction(*copy).getArgumentTypes());
  return success();
}

static constexpr char kSegmentCalls[] = "segment_calls";

/// Lets kernels of attention that leave states of segments to others count
/// their calls: results are the same without them.
static void countSegmentCalls(llvm::Module &module) {
  llvm::Type *i64 = llvm::Type::getInt64Ty(module.getContext());
  auto *calls = new llvm::GlobalVariable(
      module, i64, /*isConstant=*/false, llvm::GlobalValue::ExternalLinkage,
      llvm::ConstantInt::get(i64, 0), kSegmentCalls);
  for (llvm::Function &function : module) {
    if (!function.getName().starts_with("kernel_attention_segments_"))
      continue;
    llvm::IRBuilder<> builder(&function.getEntryBlock().front());
    builder.CreateAtomicRMW(llvm::AtomicRMWInst::Add, calls,
                            llvm::ConstantInt::get(i64, 1), llvm::MaybeAlign(),
                            llvm::AtomicOrdering::Monotonic);
  }
}

static llvm::Expected<std::unique_ptr<llvm::orc::LLJIT>>
makeJIT(ModuleOp module, const MachineDescription &machine) {
  auto targetMachine = createTargetMachine(machine);
  if (!targetMachine)
    return targetMachine.takeError();
  llvm::LLVMContext context;
  auto translated = translate(module, context, **targetMachine);
  if (!translated)
    return translated.takeError();
  countSegmentCalls(**translated);
  optimize(**translated, **targetMachine);
  auto object = emitMachineCode(**translated, **targetMachine,
                                llvm::CodeGenFileType::ObjectFile);
  if (!object)
    return object.takeError();
  auto jit = llvm::orc::LLJITBuilder().create();
  if (!jit)
    return jit.takeError();
  char prefix = (*jit)->getDataLayout().getGlobalPrefix();
  auto &library = (*jit)->getMainJITDylib();
  auto process =
      llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(prefix);
  auto openmp =
      llvm::orc::DynamicLibrarySearchGenerator::Load(MOE_LIBOMP, prefix);
  if (!process || !openmp)
    return llvm::joinErrors(process.takeError(), openmp.takeError());
  library.addGenerator(std::move(*openmp));
  library.addGenerator(std::move(*process));
  if (llvm::Error error =
          (*jit)->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(
              StringRef(object->data(), object->size()))))
    return error;
  return jit;
}

llvm::Expected<CompiledFunction>
CompiledFunction::compile(ModuleOp module, const MachineDescription &machine) {
  CompiledFunction result;
  OwningOpRef<ModuleOp> copy = module.clone();
  func::FuncOp function = publicFunction(*copy);
  llvm::append_range(result.results, function.getResultTypes());
  std::string name = ("_mlir_ciface_" + function.getName()).str();
  function->setAttr("llvm.emit_c_interface",
                    UnitAttr::get(module.getContext()));
  machine.kernels.setOn(*copy);
  if (failed(findArgumentTypes(module, result.arguments)) ||
      failed(runPhases(*copy, Phase::LLVM)))
    return llvm::createStringError("the phases failed");
  auto arena = (*copy)->getAttrOfType<DictionaryAttr>("lm.arena");
  auto bytes = [&](StringRef field) {
    return arena.getAs<IntegerAttr>(field).getInt();
  };
  result.perToken = bytes("per_token");
  result.fixed = bytes("fixed");
  result.perSlot = bytes("per_thread");
  auto jit = makeJIT(*copy, machine);
  if (!jit)
    return jit.takeError();
  result.jit = std::move(*jit);
  auto symbol = result.jit->lookup(name);
  if (!symbol)
    return symbol.takeError();
  result.entry = symbol->toPtr<void *>();
  auto calls = result.jit->lookup(kSegmentCalls);
  if (!calls)
    return calls.takeError();
  result.segmentCalls = calls->toPtr<int64_t *>();
  return result;
}

namespace {
/// Memory of a call, between guards that show writes out of bounds. It starts
/// full of NaNs, which show reads of what was never written.
class GuardedBytes {
public:
  explicit GuardedBytes(int64_t size)
      : size(size), memory(2 * kGuard + size + 64, char(0xff)) {
    auto start = reinterpret_cast<uintptr_t>(memory.data()) + kGuard;
    offset = kGuard + (64 - start % 64) % 64;
  }
  char *data() { return memory.data() + offset; }
  bool isIntact() const {
    auto isGuard = [](char c) { return c == char(0xff); };
    return std::all_of(memory.begin(), memory.begin() + offset, isGuard) &&
           std::all_of(memory.begin() + offset + size, memory.end(), isGuard);
  }
  int64_t size;

private:
  static constexpr int64_t kGuard = 4096;
  Bytes memory;
  int64_t offset = 0;
};

/// MLIR's descriptor of a memref of rank 0, 1 or 2.
struct Descriptor {
  char *allocated, *aligned;
  int64_t offset;
  int64_t sizesAndStrides[4];
};

/// Arguments of one call, in order; keeps what they point to.
class CallFrame {
public:
  void addIndex(int64_t value) { words.push_back(value); }
  void addVector(char *data, int64_t size) {
    add({data, data, 0, {size, 1, 0, 0}});
  }
  void addMatrix(char *data, int64_t rows, int64_t columns) {
    add({data, data, 0, {rows, columns, columns, 1}});
  }
  /// A copy of a tensor, between guards.
  void addTensor(const Tensor &tensor) {
    Bytes bytes = toBytes(tensor);
    char *data = allocate(bytes.size());
    std::copy(bytes.begin(), bytes.end(), data);
    addShaped(data, tensor.shape);
  }
  void addShaped(char *data, ArrayRef<int64_t> shape) {
    if (shape.empty())
      add({data, data, 0, {}});
    else if (shape.size() == 1)
      addVector(data, shape[0]);
    else
      addMatrix(data, shape[0], shape[1]);
  }
  char *allocate(int64_t size) {
    memory.push_back(std::make_unique<GuardedBytes>(size));
    return memory.back()->data();
  }
  bool isIntact() const {
    return llvm::all_of(memory,
                        [](const auto &bytes) { return bytes->isIntact(); });
  }
  /// Every argument is a word; the callee ignores those it does not take.
  void call(void *entry) {
    constexpr size_t kMost = 40;
    assert(words.size() <= kMost && "more arguments than `call` passes");
    words.resize(kMost, 0);
    callWith(entry, std::make_index_sequence<kMost>());
  }

private:
  template <size_t... i> void callWith(void *entry, std::index_sequence<i...>) {
    using Function = void (*)(decltype(int64_t(i))...);
    reinterpret_cast<Function>(entry)(words[i]...);
  }
  void add(Descriptor descriptor) {
    descriptors.push_back(std::make_unique<Descriptor>(descriptor));
    words.push_back(reinterpret_cast<int64_t>(descriptors.back().get()));
  }

  std::vector<int64_t> words;
  std::vector<std::unique_ptr<Descriptor>> descriptors;
  std::vector<std::unique_ptr<GuardedBytes>> memory;
};
} // namespace

llvm::Expected<std::vector<Tensor>>
CompiledFunction::call(ArrayRef<RuntimeValue> values,
                       llvm::MutableArrayRef<CacheBytes> caches,
                       ArrayRef<int64_t> resultRows, CallShape shape) {
  CallFrame frame;
  unsigned nextCache = 0;
  for (auto [i, type] : llvm::enumerate(arguments)) {
    if (auto packedType = dyn_cast<lm::PackedType>(type)) {
      Bytes &bytes = packed[i];
      if (bytes.empty())
        bytes = pack(*getTensor(values[i]), packedType);
      char *data = frame.allocate(bytes.size());
      std::copy(bytes.begin(), bytes.end(), data);
      frame.addVector(data, bytes.size());
    } else if (auto state = dyn_cast<lm::StateType>(type)) {
      Bytes &bytes = caches[nextCache++].bytes;
      bytes.resize(state.getBytesPerPosition() * shape.extent, 0);
      frame.addVector(bytes.data(), bytes.size());
    } else if (type.isIndex()) {
      frame.addIndex(std::get<int64_t>(values[i]));
    } else {
      frame.addTensor(*getTensor(values[i]));
    }
  }
  std::vector<Tensor> tensors;
  std::vector<char *> data;
  for (auto [type, rows] : llvm::zip(results, resultRows)) {
    auto shaped = cast<RankedTensorType>(type);
    SmallVector<int64_t> sizes;
    if (shaped.getRank())
      sizes = {rows, shaped.getDimSize(1)};
    tensors.emplace_back(*getElement(shaped.getElementType()), sizes);
    data.push_back(frame.allocate(tensors.back().data.size() *
                                  bytesOf(tensors.back().element)));
    frame.addShaped(data.back(), sizes);
  }
  int64_t arena = perToken * shape.capacity + fixed + perSlot * shape.slots;
  frame.addVector(frame.allocate(arena), arena);
  frame.addIndex(shape.capacity);
  frame.addIndex(shape.extent);
  frame.addIndex(shape.slots);
  frame.call(entry);
  if (!frame.isIntact())
    return llvm::createStringError("wrote outside of a buffer");
  for (auto [tensor, bytes] : llvm::zip(tensors, data))
    for (size_t i = 0; i < tensor.data.size(); ++i)
      tensor[i] = load(tensor.element, bytes + i * bytesOf(tensor.element));
  return tensors;
}
