//===- InterpreterTest.cpp - Calls, weights, state, errors ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

using namespace moec;
using namespace moec::reference;
using namespace moec::test;

namespace {

TEST(Interpreter, CallsFunctionsAndKeepsStateByLayer) {
  Program program(R"(
    func.func private @layer(%x: tensor<?x2xf32>, %s: !lm.state<1x2xf32>, %p: index) -> tensor<?x2xf32> {
      %r = lm.attention %x append(%x, %x) state(%s) at %p {heads = 1 : i64, scale = 0.0 : f64} : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, !lm.state<1x2xf32>, index) -> tensor<?x2xf32>
      return %r : tensor<?x2xf32>
    }
    func.func @main(%x: tensor<?x2xf32>, %p: index) -> tensor<?x2xf32> {
      %s0 = lm.layer_state 0 : !lm.state<1x2xf32>
      %s1 = lm.layer_state 1 : !lm.state<1x2xf32>
      %a = func.call @layer(%x, %s0, %p) : (tensor<?x2xf32>, !lm.state<1x2xf32>, index) -> tensor<?x2xf32>
      %b = func.call @layer(%a, %s1, %p) : (tensor<?x2xf32>, !lm.state<1x2xf32>, index) -> tensor<?x2xf32>
      return %b : tensor<?x2xf32>
    })");
  Interpreter interpreter(*program.module);
  auto first = interpreter.run("main", {rows({1, 2}, {2, 4}), int64_t(0)});
  ASSERT_TRUE(mlir::succeeded(first));
  auto second = interpreter.run("main", {rows({1, 2}, {4, 8}), int64_t(1)});
  ASSERT_TRUE(mlir::succeeded(second));
  // Scale 0 averages: layer 0 gives (2,4), (3,6); layer 1 their average.
  expectNear(tensorOf((*second)[0]), {2.5, 5});
  EXPECT_EQ(interpreter.caches.size(), 2u);
}

TEST(Interpreter, ReadsWeightsOnce) {
  Program program(R"(
    lm.weights @w : tensor<1x2xf32>
    func.func @main(%x: tensor<?x2xf32>) -> tensor<?x1xf32> {
      %a = lm.weight @w : tensor<1x2xf32>
      %b = lm.weight @w : tensor<1x2xf32>
      %y = lm.linear %x, %a : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x1xf32>
      %z = lm.linear %x, %b : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x1xf32>
      %r = lm.add %y, %z : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
      return %r : tensor<?x1xf32>
    })");
  int reads = 0;
  InterpreterOptions options;
  options.weightSource =
      [&](llvm::StringRef name, Element element,
          llvm::ArrayRef<int64_t> shape) -> llvm::Expected<Tensor> {
    ++reads;
    EXPECT_EQ(name, "w");
    return Tensor(element, shape, {3, 4});
  };
  auto results = program.run({rows({1, 2}, {1, 10})}, options);
  ASSERT_EQ(results.size(), 1u) << program.error;
  expectNear(tensorOf(results[0]), {86});
  EXPECT_EQ(reads, 1);

  EXPECT_TRUE(program.run({rows({1, 2}, {1, 10})}).empty());
  EXPECT_NE(program.error.find("reads weight @w, but no weights were given"),
            std::string::npos);
}

TEST(Interpreter, PackedWeightsAreTheirLogicalValues) {
  Program program(R"(
    func.func @main(%x: tensor<?x2xf32>, %w: tensor<3x2xf32>) -> tensor<?x3xf32> {
      %p = moe.pack %w : tensor<3x2xf32> -> !lm.packed<3x2xf32, panel>
      %r = lm.linear %x, %p : (tensor<?x2xf32>, !lm.packed<3x2xf32, panel>) -> tensor<?x3xf32>
      return %r : tensor<?x3xf32>
    })");
  expectNear(program.runForTensor({rows({1, 2}, {1, 2}),
                                   rows({3, 2}, {1, 2, 3, 4, 5, 6})}),
             {5, 11, 17});
}

TEST(Interpreter, NamesAnOpThatItDoesNotKnow) {
  Program program(R"(
    func.func @main(%i: index) -> index {
      %j = arith.addi %i, %i : index
      return %j : index
    })");
  EXPECT_TRUE(program.run({int64_t(1)}).empty());
  EXPECT_NE(program.error.find("'arith.addi' op is not an op that the "
                               "interpreter knows"),
            std::string::npos);
}

TEST(Interpreter, RefusesTheBufferForm) {
  Program program(R"(
    func.func @main(%x: memref<?x2xf32>, %y: memref<?x2xf32>) {
      lm.activate %x <relu> outs(%y) : (memref<?x2xf32>, memref<?x2xf32>) -> ()
      return
    })");
  Interpreter interpreter(*program.module);
  std::string message;
  mlir::ScopedDiagnosticHandler handler(
      &program.context, [&](mlir::Diagnostic &diagnostic) {
        message += diagnostic.str();
        return mlir::success();
      });
  EXPECT_TRUE(mlir::failed(interpreter.run(
      "main", {rows({1, 2}, {1, 2}), rows({1, 2}, {1, 2})})));
  EXPECT_NE(message.find("buffer form"), std::string::npos);
}

TEST(Interpreter, ChecksArguments) {
  Program program(wrap("%x: tensor<?x2xf32>",
                       "lm.activate %x <relu> : (tensor<?x2xf32>) -> "
                       "tensor<?x2xf32>",
                       "tensor<?x2xf32>"));
  EXPECT_TRUE(program.run({}).empty());
  EXPECT_NE(program.error.find("takes 1 arguments, got 0"), std::string::npos);
  EXPECT_TRUE(program.run({rows({1, 3}, {1, 2, 3})}).empty());
  EXPECT_NE(program.error.find("argument 0: expected a value of type "
                               "'tensor<?x2xf32>', got 1x3xf32"),
            std::string::npos);
}

} // namespace
