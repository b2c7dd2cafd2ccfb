//===- TensorFile.cpp - Tensors in NumPy's .npy format --------------------===//
//
// Part of moe-mlir. The format: numpy.lib.format, version 1.0.
//
//===----------------------------------------------------------------------===//

#include "moe/Reference/TensorFile.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace moec::reference;
using llvm::StringRef;
namespace endian = llvm::support::endian;

static constexpr StringRef kMagic("\x93NUMPY\x01\x00", 8);

static llvm::Error fileError(StringRef path, const llvm::Twine &what) {
  return llvm::createStringError(path + ": " + what);
}

static StringRef descriptorOf(Element element) {
  switch (element) {
  case Element::F64:
    return "<f8";
  case Element::F32:
  case Element::BF16:
    return "<f4";
  case Element::F16:
    return "<f2";
  case Element::I32:
    return "<i4";
  }
  llvm_unreachable("unknown element");
}

static uint16_t halfBits(double value) {
  llvm::APFloat half(value);
  bool lost;
  half.convert(llvm::APFloat::IEEEhalf(), llvm::APFloat::rmNearestTiesToEven,
               &lost);
  return half.bitcastToAPInt().getZExtValue();
}

static double fromHalfBits(uint16_t bits) {
  llvm::APFloat half(llvm::APFloat::IEEEhalf(), llvm::APInt(16, bits));
  return half.convertToDouble();
}

static std::string header(const Tensor &tensor) {
  std::string text = ("{'descr': '" + descriptorOf(tensor.element) +
                      "', 'fortran_order': False, 'shape': (")
                         .str();
  for (int64_t dim : tensor.shape)
    text += std::to_string(dim) + ",";
  text += "), }";
  // Magic, length and text together fill a multiple of 64 bytes.
  size_t total = llvm::alignTo(kMagic.size() + 2 + text.size() + 1, 64);
  text.resize(total - kMagic.size() - 2 - 1, ' ');
  text += '\n';
  std::string length(2, '\0');
  endian::write16le(length.data(), text.size());
  return kMagic.str() + length + text;
}

static std::string encode(const Tensor &tensor) {
  std::string bytes;
  auto append = [&](auto number) {
    char raw[sizeof(number)];
    memcpy(raw, &number, sizeof(number));
    bytes.append(raw, sizeof(number));
  };
  for (double value : tensor.data) {
    switch (tensor.element) {
    case Element::F64:
      append(value);
      break;
    case Element::F32:
    case Element::BF16:
      append(float(value));
      break;
    case Element::F16:
      append(halfBits(value));
      break;
    case Element::I32:
      append(int32_t(value));
      break;
    }
  }
  return bytes;
}

llvm::Error moec::reference::writeTensor(StringRef path,
                                         const Tensor &tensor) {
  std::error_code error;
  llvm::raw_fd_ostream out(path, error);
  if (error)
    return fileError(path, error.message());
  out << header(tensor) << encode(tensor);
  out.flush();
  if (out.has_error()) {
    error = out.error();
    out.clear_error();
    return fileError(path, error.message());
  }
  return llvm::Error::success();
}

/// The text after `'key':` in a header, without leading blanks.
static StringRef valueOf(StringRef text, StringRef key) {
  size_t at = text.find(("'" + key + "':").str());
  if (at == StringRef::npos)
    return {};
  return text.drop_front(at + key.size() + 3).ltrim();
}

static llvm::Expected<std::vector<int64_t>> parseShape(StringRef path,
                                                       StringRef text) {
  std::vector<int64_t> shape;
  if (!text.consume_front("("))
    return fileError(path, "no shape in the header");
  llvm::SmallVector<StringRef> dims;
  text.take_until([](char c) { return c == ')'; }).split(dims, ',', -1, false);
  for (StringRef dim : dims) {
    int64_t size;
    if (dim.trim().empty())
      continue;
    if (dim.trim().getAsInteger(10, size) || size < 0)
      return fileError(path, "bad size '" + dim + "' in the shape");
    shape.push_back(size);
  }
  return shape;
}

static double decode(StringRef descriptor, const char *at) {
  if (descriptor == "<f8")
    return llvm::bit_cast<double>(endian::read64le(at));
  if (descriptor == "<f4")
    return llvm::bit_cast<float>(endian::read32le(at));
  if (descriptor == "<f2")
    return fromHalfBits(endian::read16le(at));
  if (descriptor == "<i4")
    return int32_t(endian::read32le(at));
  return double(int64_t(endian::read64le(at)));
}

llvm::Expected<Tensor> moec::reference::readTensor(StringRef path,
                                                   Element element) {
  auto buffer = llvm::MemoryBuffer::getFile(path, false, false);
  if (!buffer)
    return fileError(path, buffer.getError().message());
  StringRef bytes = (*buffer)->getBuffer();
  if (!bytes.consume_front(kMagic) || bytes.size() < 2)
    return fileError(path, "not a .npy file of version 1.0");
  size_t length = endian::read16le(bytes.data());
  bytes = bytes.drop_front(2);
  if (bytes.size() < length)
    return fileError(path, "the header is cut off");
  StringRef text = bytes.take_front(length);
  bytes = bytes.drop_front(length);
  StringRef descriptor = valueOf(text, "descr").substr(1, 3);
  if (!llvm::is_contained({"<f8", "<f4", "<f2", "<i4", "<i8"}, descriptor))
    return fileError(path, "element type '" + descriptor +
                               "' is none of f8, f4, f2, i4, i8");
  if (!valueOf(text, "fortran_order").starts_with("False"))
    return fileError(path, "expected C order");
  llvm::Expected<std::vector<int64_t>> shape =
      parseShape(path, valueOf(text, "shape"));
  if (!shape)
    return shape.takeError();
  size_t width = descriptor.back() - '0';
  // Divide, so that a hostile shape cannot overflow the product.
  size_t room = bytes.size() / width;
  bool isEmpty = llvm::is_contained(*shape, 0);
  for (int64_t dim : *shape)
    room = dim == 0 ? 0 : room / dim;
  if (!isEmpty && room == 0)
    return fileError(path, "the data is cut off");
  Tensor tensor(element, *shape);
  for (size_t i = 0; i < tensor.data.size(); ++i)
    tensor.data[i] = decode(descriptor, bytes.data() + i * width);
  tensor.round();
  return tensor;
}
