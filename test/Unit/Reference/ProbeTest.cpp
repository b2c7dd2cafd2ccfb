//===- ProbeTest.cpp - Every op's result in a folder ----------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include "moe/Reference/Probe.h"
#include "moe/Reference/TensorFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace moec;
using namespace moec::reference;
using namespace moec::test;

namespace {

TEST(Probe, WritesResultsOfCalledFunctions) {
  Program program(R"(
    func.func private @twice(%x: tensor<?x1xf32>) -> tensor<?x1xf32> {
      %d = lm.add %x, %x : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
      return %d : tensor<?x1xf32>
    }
    func.func @main(%x: tensor<?x1xf32>) -> tensor<?x1xf32> {
      %a = func.call @twice(%x) : (tensor<?x1xf32>) -> tensor<?x1xf32>
      %b = func.call @twice(%a) : (tensor<?x1xf32>) -> tensor<?x1xf32>
      return %b : tensor<?x1xf32>
    })");
  llvm::SmallString<64> directory;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("probe", directory));
  auto probe = Probe::create(directory, *program.module);
  ASSERT_TRUE(bool(probe)) << llvm::toString(probe.takeError());
  InterpreterOptions options;
  options.observer = [&](mlir::Operation *op,
                         llvm::ArrayRef<RuntimeValue> results,
                         llvm::StringRef calls) {
    probe->observe(op, results, calls);
  };
  ASSERT_EQ(program.run({rows({2, 1}, {1, 2})}, options).size(), 1u);
  ASSERT_FALSE(bool(probe->finish()));

  auto text = llvm::MemoryBuffer::getFile(directory + "/index.json");
  ASSERT_TRUE(bool(text));
  auto index = llvm::json::parse((*text)->getBuffer());
  ASSERT_TRUE(bool(index));
  llvm::json::Array &entries = *index->getAsArray();
  ASSERT_EQ(entries.size(), 2u);
  llvm::json::Object &second = *entries[1].getAsObject();
  EXPECT_EQ(second.getString("op"), "lm.add");
  EXPECT_EQ(second.getString("name"), "%0");
  EXPECT_EQ(second.getString("function"), "twice");
  EXPECT_EQ(second.getString("calls"), "main/twice#2");
  EXPECT_EQ(second.getString("type"), "f32");
  auto tensor = readTensor((directory + "/001.npy").str(), Element::F32);
  ASSERT_TRUE(bool(tensor)) << llvm::toString(tensor.takeError());
  expectNear(*tensor, {4, 8});
  llvm::sys::fs::remove_directories(directory);
}

} // namespace
