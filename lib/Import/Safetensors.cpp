//===- Safetensors.cpp - The header of a safetensors file -----------------===//
//
// Part of moe-mlir. Format: u64 length of the header, the header (JSON), the
// data. Like the reference implementation (safetensors 0.8, tensor.rs), this
// accepts neither holes between tensors nor bytes after the last one.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Safetensors.h"

#include "ImportError.h"
#include "StrictJson.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

#include <tuple>

using namespace moe;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
using llvm::Twine;
using nlohmann::json;

namespace {

/// The limit of the reference implementation.
constexpr uint64_t maxHeaderBytes = 100'000'000;

/// Parses the entry of one tensor. Offsets are relative to the data.
class EntryParser {
public:
  EntryParser(StringRef origin, StringRef name, uint64_t dataBytes)
      : where((origin + ": tensor " + inQuotes(name) + ": ").str()),
        dataBytes(dataBytes) {
    info.name = name.str();
  }

  Expected<TensorInfo> parse(const json &entry) {
    if (!entry.is_object())
      return importError(where + "expected an object");
    if (Error error = parseType(entry))
      return error;
    if (Error error = parseShape(entry))
      return error;
    if (Error error = parseRange(entry))
      return error;
    return std::move(info);
  }

private:
  std::string where;
  uint64_t dataBytes;
  TensorInfo info;
  uint64_t shapeBytes = 0;

  static const json *member(const json &entry, const char *name) {
    auto it = entry.find(name);
    return it == entry.end() ? nullptr : &*it;
  }

  Error parseType(const json &entry) {
    const json *dtype = member(entry, "dtype");
    if (!dtype || !dtype->is_string())
      return importError(where + "dtype: expected a string");
    const std::string &name = dtype->get_ref<const std::string &>();
    std::optional<ElementType> type = parseElementName(name);
    if (!type)
      return importError(where +
                         "dtype: expected F32, F16, BF16 or another "
                         "known type, found " +
                         inQuotes(name));
    info.type = *type;
    return Error::success();
  }

  Error parseShape(const json &entry) {
    const json *shape = member(entry, "shape");
    if (!shape || !shape->is_array())
      return importError(where + "shape: expected an array");
    bool overflow = false;
    uint64_t product = elementBytes(info.type);
    for (const json &extent : *shape) {
      if (!extent.is_number_unsigned())
        return importError(where + "shape: expected non-negative integers");
      uint64_t value = extent.get<uint64_t>();
      bool overflowed = false;
      product = llvm::SaturatingMultiply(product, value, &overflowed);
      overflow |= overflowed || value > INT64_MAX;
      info.shape.push_back(static_cast<int64_t>(value));
    }
    if (overflow || product > INT64_MAX)
      return importError(where + "shape: expected fewer than 2^63 bytes");
    shapeBytes = product;
    return Error::success();
  }

  Error parseRange(const json &entry) {
    const json *range = member(entry, "data_offsets");
    if (!range || !range->is_array() || range->size() != 2 ||
        !(*range)[0].is_number_unsigned() || !(*range)[1].is_number_unsigned())
      return importError(where +
                         "data_offsets: expected two non-negative integers");
    uint64_t begin = (*range)[0].get<uint64_t>();
    uint64_t end = (*range)[1].get<uint64_t>();
    std::string text = ("[" + Twine(begin) + ", " + Twine(end) + "]").str();
    if (begin > end || end > dataBytes)
      return importError(where + "data_offsets: expected a range within the " +
                         Twine(dataBytes) + " bytes of data, found " + text);
    if (end - begin != shapeBytes)
      return importError(where + "data_offsets: expected " + Twine(shapeBytes) +
                         " bytes for shape " + shapeText(info.shape) + " of " +
                         elementName(info.type) + ", found " + text);
    info.offset = begin;
    info.bytes = shapeBytes;
    return Error::success();
  }
};

Error checkMetadata(const json &metadata, StringRef origin) {
  bool good = metadata.is_object() &&
              llvm::all_of(metadata,
                           [](const json &value) { return value.is_string(); });
  if (good)
    return Error::success();
  return importError(origin + ": __metadata__: expected an object of strings");
}

/// Checks that the tensors, sorted by offset, tile the data.
Error checkTiling(llvm::ArrayRef<TensorInfo> tensors, uint64_t dataBytes,
                  StringRef origin) {
  uint64_t end = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo &tensor = tensors[i];
    if (tensor.offset < end)
      return importError(origin + ": tensor " + inQuotes(tensor.name) +
                         ": data_offsets: expected no overlap with tensor " +
                         inQuotes(tensors[i - 1].name));
    if (tensor.offset > end)
      return importError(origin + ": tensor " + inQuotes(tensor.name) +
                         ": data_offsets: expected to start at " + Twine(end) +
                         ", where the tensor before it ends, found " +
                         Twine(tensor.offset));
    end = tensor.offset + tensor.bytes;
  }
  if (end != dataBytes)
    return importError(origin + ": expected " + Twine(end) +
                       " bytes of data after the header, found " +
                       Twine(dataBytes));
  return Error::success();
}

/// The JSON text of the header, its length checked against the file's.
Expected<StringRef> headerText(StringRef contents, StringRef origin) {
  if (contents.size() < 8)
    return importError(origin +
                       ": expected a safetensors file of at least 8 bytes, "
                       "found " +
                       Twine(contents.size()));
  uint64_t length = llvm::support::endian::read64le(contents.data());
  if (length > contents.size() - 8)
    return importError(origin + ": header length: expected at most " +
                       Twine(contents.size() - 8) +
                       " (the rest of the file), found " + Twine(length));
  if (length > maxHeaderBytes)
    return importError(origin + ": header length: expected at most " +
                       Twine(maxHeaderBytes) + ", found " + Twine(length));
  return contents.substr(8, length);
}

} // namespace

int64_t TensorInfo::elements() const {
  return static_cast<int64_t>(bytes / elementBytes(type));
}

Expected<std::vector<TensorInfo>> moe::parseSafetensors(StringRef contents,
                                                        StringRef origin) {
  Expected<StringRef> text = headerText(contents, origin);
  if (!text)
    return text.takeError();
  Expected<json> header = parseStrictJson(*text, (origin + ": header").str());
  if (!header)
    return header.takeError();

  uint64_t dataStart = 8 + text->size();
  uint64_t dataBytes = contents.size() - dataStart;
  std::vector<TensorInfo> tensors;
  for (const auto &[name, entry] : header->items()) {
    if (name == "__metadata__") {
      if (Error error = checkMetadata(entry, origin))
        return error;
      continue;
    }
    Expected<TensorInfo> tensor =
        EntryParser(origin, name, dataBytes).parse(entry);
    if (!tensor)
      return tensor.takeError();
    tensors.push_back(std::move(*tensor));
  }
  // Empty tensors come before the one that starts where they do.
  llvm::sort(tensors, [](const TensorInfo &a, const TensorInfo &b) {
    return std::tie(a.offset, a.bytes, a.name) <
           std::tie(b.offset, b.bytes, b.name);
  });
  if (Error error = checkTiling(tensors, dataBytes, origin))
    return error;
  for (TensorInfo &tensor : tensors)
    tensor.offset += dataStart;
  return tensors;
}
