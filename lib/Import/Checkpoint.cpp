//===- Checkpoint.cpp - The safetensors files of a model ------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/Safetensors.h"

#include "ImportError.h"
#include "StrictJson.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <map>

using namespace moe;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
using llvm::Twine;
using nlohmann::json;

namespace fs = llvm::sys::fs;
namespace paths = llvm::sys::path;

namespace {

std::string joined(StringRef directory, StringRef name) {
  llvm::SmallString<256> result(directory);
  paths::append(result, name);
  return result.str().str();
}

/// Maps a file; small ones are read instead.
Expected<std::unique_ptr<llvm::MemoryBuffer>> mapFile(StringRef name) {
  if (fs::is_directory(name))
    return importError(name + ": expected a file, found a directory");
  auto buffer = llvm::MemoryBuffer::getFile(name, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return importError(name +
                       ": cannot be opened: " + buffer.getError().message());
  return std::move(*buffer);
}

/// Which file of the directory to open. transformers, too, prefers the single
/// file where both exist.
Expected<std::string> findEntry(StringRef directory) {
  for (StringRef name : {"model.safetensors", "model.safetensors.index.json"})
    if (std::string file = joined(directory, name); fs::exists(file))
      return file;
  bool pickled = fs::exists(joined(directory, "pytorch_model.bin")) ||
                 fs::exists(joined(directory, "pytorch_model.bin.index.json"));
  return importError(
      directory +
      ": expected model.safetensors or "
      "model.safetensors.index.json" +
      (pickled ? "; pytorch_model.bin is not read, convert it" : ""));
}

/// The weight_map of an index: tensor name to file name.
Expected<std::map<std::string, std::string>> parseWeightMap(StringRef text,
                                                            StringRef origin) {
  Expected<json> index = parseStrictJson(text, origin);
  if (!index)
    return index.takeError();
  auto map = index->find("weight_map");
  if (map == index->end() || !map->is_object() || map->empty())
    return importError(origin + ": weight_map: expected an object that maps "
                                "tensors to files");
  std::map<std::string, std::string> result;
  for (const auto &[tensor, file] : map->items()) {
    std::string name = file.is_string() ? file.get<std::string>() : "";
    // A shard lies beside its index; a path could point anywhere.
    if (name.empty() || name == "." || name == ".." ||
        StringRef(name).find_first_of(StringRef("/\\\0", 3)) != StringRef::npos)
      return importError(origin + ": weight_map: " + inQuotes(tensor) +
                         ": expected the name of a file beside the index");
    result[tensor] = name;
  }
  return result;
}

} // namespace

Expected<Checkpoint> Checkpoint::open(StringRef name) {
  std::string entry = name.str();
  if (fs::is_directory(name)) {
    Expected<std::string> found = findEntry(name);
    if (!found)
      return found.takeError();
    entry = *found;
  }
  Checkpoint checkpoint;
  checkpoint.entry = entry;
  Error error = StringRef(entry).ends_with(".json")
                    ? checkpoint.addShards(entry)
                    : checkpoint.addFile(entry);
  if (error)
    return error;
  return checkpoint;
}

Error Checkpoint::addFile(StringRef name) {
  auto buffer = mapFile(name);
  if (!buffer)
    return buffer.takeError();
  Expected<std::vector<TensorInfo>> tensors =
      parseSafetensors((*buffer)->getBuffer(), name);
  if (!tensors)
    return tensors.takeError();
  for (TensorInfo &tensor : *tensors) {
    tensor.file = files.size();
    auto [it, inserted] = byName.try_emplace(tensor.name, infos.size());
    if (!inserted)
      return importError(name + ": tensor " + inQuotes(tensor.name) +
                         ": expected once, found also in " +
                         path(infos[it->second].file));
    infos.push_back(std::move(tensor));
  }
  files.push_back(std::move(*buffer));
  return Error::success();
}

Error Checkpoint::addShards(StringRef indexPath) {
  auto buffer = mapFile(indexPath);
  if (!buffer)
    return buffer.takeError();
  auto map = parseWeightMap((*buffer)->getBuffer(), indexPath);
  if (!map)
    return map.takeError();

  std::map<std::string, unsigned> shards;
  for (const auto &[tensor, file] : *map)
    shards.try_emplace(file, 0);
  for (auto &[file, number] : shards) {
    std::string shard = joined(paths::parent_path(indexPath), file);
    if (!fs::exists(shard))
      return importError(indexPath + ": weight_map: file " + inQuotes(file) +
                         " does not exist");
    number = files.size();
    if (Error error = addFile(shard))
      return error;
  }
  for (const auto &[tensor, file] : *map) {
    const TensorInfo *info = find(tensor);
    if (!info || info->file != shards[file])
      return importError(indexPath + ": weight_map: tensor " +
                         inQuotes(tensor) + " is not in " + inQuotes(file));
  }
  return Error::success();
}

const TensorInfo *Checkpoint::find(StringRef name) const {
  auto it = byName.find(name);
  return it == byName.end() ? nullptr : &infos[it->second];
}

llvm::ArrayRef<uint8_t> Checkpoint::data(const TensorInfo &tensor) const {
  StringRef bytes = files[tensor.file]->getBuffer();
  return {bytes.bytes_begin() + tensor.offset, tensor.bytes};
}

StringRef Checkpoint::path(unsigned file) const {
  return files[file]->getBufferIdentifier();
}

uint64_t Checkpoint::fileBytes(unsigned file) const {
  return files[file]->getBufferSize();
}
