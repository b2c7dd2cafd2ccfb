//===- TensorTest.cpp - Rounding and .npy files ---------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Run.h"

#include "moe/Reference/TensorFile.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace moec;
using namespace moec::reference;
using namespace moec::test;

namespace {

/// APFloat's conversion, written independently of ours.
double convertedBy(const llvm::fltSemantics &semantics, double value) {
  llvm::APFloat number(value);
  bool lost;
  number.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &lost);
  return number.convertToDouble();
}

TEST(Rounding, AgreesWithAPFloat) {
  RandomNumbers numbers(1);
  for (int i = 0; i < 20000; ++i) {
    double value =
        std::ldexp(numbers.uniform(-2, 2), int(numbers.integer(-150, 130)));
    EXPECT_EQ(roundTo(Element::BF16, value),
              convertedBy(llvm::APFloat::BFloat(), value));
    EXPECT_EQ(roundTo(Element::F16, value),
              convertedBy(llvm::APFloat::IEEEhalf(), value));
    EXPECT_EQ(roundTo(Element::F32, value),
              convertedBy(llvm::APFloat::IEEEsingle(), value));
  }
}

TEST(Rounding, TiesGoToEven) {
  EXPECT_EQ(roundTo(Element::BF16, 1 + 0x1p-8), 1.0);
  EXPECT_EQ(roundTo(Element::BF16, 1 + 3 * 0x1p-8), 1 + 0x1p-6);
  EXPECT_EQ(roundTo(Element::F16, 65519.0), 65504.0);
  EXPECT_TRUE(std::isinf(roundTo(Element::F16, 65520.0)));
}

TEST(Rounding, HappensOnce) {
  // By way of f32 this would land on a tie and go down.
  double justAboveTie = 1 + 0x1p-8 + 0x1p-40;
  EXPECT_EQ(roundTo(Element::BF16, justAboveTie), 1 + 0x1p-7);
}

TEST(Rounding, KeepsZerosInfinitiesAndNaN) {
  EXPECT_TRUE(std::signbit(roundTo(Element::BF16, -0.0)));
  EXPECT_EQ(roundTo(Element::F16, -INFINITY), -INFINITY);
  EXPECT_TRUE(std::isnan(roundTo(Element::BF16, NAN)));
  EXPECT_EQ(roundTo(Element::BF16, 0x1p-133), 0x1p-133);
  EXPECT_EQ(roundTo(Element::BF16, 0x1p-134), 0.0);
}

class TensorFile : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("tensor", "npy", path));
  }
  void TearDown() override { llvm::sys::fs::remove(path); }
  void put(llvm::StringRef bytes) {
    std::error_code error;
    llvm::raw_fd_ostream(path, error) << bytes;
  }
  std::string errorOfReading() {
    auto tensor = readTensor(path, Element::F32);
    EXPECT_FALSE(bool(tensor));
    return tensor ? "" : llvm::toString(tensor.takeError());
  }
  llvm::SmallString<64> path;
};

TEST_F(TensorFile, RoundTrips) {
  for (Element element : {Element::F64, Element::F32, Element::BF16,
                          Element::F16, Element::I32}) {
    Tensor tensor = makeRandomTensor(3, element, {3, 5});
    ASSERT_FALSE(bool(writeTensor(path, tensor)));
    auto read = readTensor(path, element);
    ASSERT_TRUE(bool(read)) << llvm::toString(read.takeError());
    EXPECT_EQ(read->shape, tensor.shape);
    EXPECT_EQ(read->data, tensor.data);
  }
}

TEST_F(TensorFile, HoldsScalarsAndNoRows) {
  for (std::vector<int64_t> shape :
       {std::vector<int64_t>{}, std::vector<int64_t>{0, 8}}) {
    Tensor tensor(Element::F32, shape);
    ASSERT_FALSE(bool(writeTensor(path, tensor)));
    auto read = readTensor(path, Element::F32);
    ASSERT_TRUE(bool(read)) << llvm::toString(read.takeError());
    EXPECT_EQ(read->shape, shape);
  }
}

TEST_F(TensorFile, RefusesWhatIsNoArray) {
  put("hello");
  EXPECT_NE(errorOfReading().find("not a .npy file"), std::string::npos);
}

TEST_F(TensorFile, RefusesCutOffData) {
  Tensor tensor = makeRandomTensor(3, Element::F32, {4, 4});
  ASSERT_FALSE(bool(writeTensor(path, tensor)));
  auto whole = llvm::MemoryBuffer::getFile(path);
  ASSERT_TRUE(bool(whole));
  std::string bytes = (*whole)->getBuffer().drop_back(10).str();
  put(bytes);
  EXPECT_NE(errorOfReading().find("cut off"), std::string::npos);
}

} // namespace
