//===- Run.cpp - Runs IR text by the interpreter --------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include "dialects/MoE/IR/MoEDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"

#include <cmath>

using namespace mlir;
using namespace moec;
using namespace moec::reference;

test::Program::Program(const std::string &text)
    : context(MLIRContext::Threading::DISABLED) {
  context.loadDialect<lm::LMDialect, mlir::moe::MoEDialect,
                      arith::ArithDialect, func::FuncDialect,
                      math::MathDialect>();
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    error += diagnostic.str();
    return success();
  });
  module = parseSourceString<ModuleOp>(text, &context);
  EXPECT_TRUE(module) << error << "\n" << text;
}

std::vector<RuntimeValue>
test::Program::run(std::vector<RuntimeValue> arguments,
                   InterpreterOptions options) {
  if (!module)
    return {};
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    error += diagnostic.str();
    return success();
  });
  Interpreter interpreter(*module, std::move(options));
  auto results = interpreter.run("main", std::move(arguments));
  records = interpreter.getRecords().vec();
  if (failed(results))
    return {};
  return *results;
}

Tensor test::Program::runForTensor(std::vector<RuntimeValue> arguments) {
  std::vector<RuntimeValue> results = run(std::move(arguments));
  EXPECT_FALSE(results.empty()) << error;
  if (results.empty() || !getTensor(results[0]))
    return Tensor(Element::F32, {0, 0});
  return *getTensor(results[0]);
}

std::string test::wrap(const std::string &arguments, const std::string &op,
                       const std::string &type) {
  return "func.func @main(" + arguments + ") -> " + type + " {\n  %r = " + op +
         "\n  return %r : " + type + "\n}\n";
}

RuntimeValue test::rows(ArrayRef<int64_t> shape, std::vector<double> data,
                        Element element) {
  return makeValue(Tensor(element, shape, std::move(data)));
}

RuntimeValue test::ids(ArrayRef<int64_t> shape, std::vector<double> data) {
  return rows(shape, std::move(data), Element::I32);
}

RuntimeValue test::random(uint64_t seed, ArrayRef<int64_t> shape,
                          Element element) {
  return makeValue(makeRandomTensor(seed, element, shape));
}

const Tensor &test::tensorOf(const RuntimeValue &value) {
  return *getTensor(value);
}

void test::expectNear(const Tensor &tensor, const std::vector<double> &expected,
                      double tolerance) {
  ASSERT_EQ(tensor.data.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(tensor[i], expected[i],
                tolerance * std::max(1.0, std::abs(expected[i])))
        << "element " << i;
}
