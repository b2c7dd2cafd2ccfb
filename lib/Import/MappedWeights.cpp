//===- MappedWeights.cpp - Logical weights of a checkpoint ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "moe/Import/WeightMap.h"

#include "ImportError.h"
#include "TensorNames.h"

#include <cassert>

using namespace moe;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
using llvm::Twine;

namespace {

/// The rows of one expert of a weight: contiguous, row-major.
struct WeightPiece {
  const uint8_t *data = nullptr;
  ElementType type = ElementType::F32;
};

class MappedWeights : public WeightSource {
public:
  MappedWeights(std::vector<LogicalWeight> weights, Checkpoint checkpoint,
                std::vector<std::vector<WeightPiece>> pieces)
      : WeightSource(std::move(weights)), checkpoint(std::move(checkpoint)),
        pieces(std::move(pieces)) {}

  ElementType storedType(const LogicalWeight &weight,
                         int64_t expert) const override {
    return pieces[indexOf(weight)][expert].type;
  }

  std::optional<RawRow> rowPointer(const LogicalWeight &weight, int64_t expert,
                                   int64_t row) const override {
    assert(expert >= 0 && expert < weight.experts() && row >= 0 &&
           row < weight.rows());
    const WeightPiece &piece = pieces[indexOf(weight)][expert];
    int64_t start = row * weight.columns();
    return RawRow{piece.data + start * elementBytes(piece.type), piece.type};
  }

  void readRow(const LogicalWeight &weight, int64_t expert, int64_t row,
               llvm::MutableArrayRef<float> out) const override {
    assert(out.size() == static_cast<size_t>(weight.columns()));
    RawRow raw = *rowPointer(weight, expert, row);
    widenToF32(raw.data, raw.type, out);
  }

private:
  Checkpoint checkpoint; // keeps the mapping alive
  std::vector<std::vector<WeightPiece>> pieces;
};

/// Finds the tensors of every logical weight and accounts for all the others.
class WeightMapper {
public:
  WeightMapper(const ModelConfig &config, const Checkpoint &checkpoint)
      : config(config), checkpoint(checkpoint),
        used(checkpoint.tensors().size(), false),
        prefix(checkpoint.find("embed_tokens.weight") ? "" : "model.") {}

  Expected<std::vector<std::vector<WeightPiece>>>
  map(llvm::ArrayRef<LogicalWeight> weights) {
    for (const LogicalWeight &weight : weights)
      if (Error error = mapWeight(weight))
        return error;
    if (Error error = checkUnused())
      return error;
    return std::move(pieces);
  }

private:
  const ModelConfig &config;
  const Checkpoint &checkpoint;
  std::vector<bool> used;
  std::string prefix;
  std::vector<std::vector<WeightPiece>> pieces;

  std::string fullName(const LogicalWeight &weight, StringRef name) const {
    if (weight.layer >= 0)
      return (prefix + "layers." + Twine(weight.layer) + "." + name).str();
    return (weight.role == WeightRole::Head ? "" : prefix) + name.str();
  }

  bool has(const LogicalWeight &weight, StringRef name) const {
    return checkpoint.find(fullName(weight, name)) != nullptr;
  }

  /// The tensor `name`, which must have this shape and a weight's type.
  Expected<const TensorInfo *> take(const std::string &name,
                                    llvm::ArrayRef<int64_t> shape) {
    const TensorInfo *tensor = checkpoint.find(name);
    if (!tensor)
      return importError(checkpoint.origin() + ": tensor " + inQuotes(name) +
                         ": expected with shape " + shapeText(shape) +
                         ", found nothing");
    StringRef file = checkpoint.path(tensor->file);
    if (llvm::ArrayRef<int64_t>(tensor->shape) != shape)
      return importError(file + ": tensor " + inQuotes(name) +
                         ": expected shape " + shapeText(shape) + ", found " +
                         shapeText(tensor->shape));
    if (!isWeightType(tensor->type))
      return importError(file + ": tensor " + inQuotes(name) +
                         ": expected F32, F16 or BF16, found " +
                         elementName(tensor->type));
    used[tensor - checkpoint.tensors().data()] = true;
    return tensor;
  }

  WeightPiece piece(const TensorInfo &tensor, int64_t firstElement = 0) const {
    return {checkpoint.data(tensor).data() +
                firstElement * elementBytes(tensor.type),
            tensor.type};
  }

  Error mapWeight(const LogicalWeight &weight) {
    pieces.emplace_back();
    if (weight.tied)
      return mapTied(weight);
    if (weight.role != WeightRole::ExpertMatrix)
      return mapPlain(weight);
    return has(weight, fusedTensorName(weight)) ? mapFused(weight)
                                                : mapPerExpert(weight);
  }

  Error mapPlain(const LogicalWeight &weight) {
    std::string name = tensorName(config, weight, /*fused=*/false);
    if (!has(weight, name))
      if (std::string other = tensorName(config, weight, /*fused=*/true);
          has(weight, other))
        name = other;
    Expected<const TensorInfo *> tensor =
        take(fullName(weight, name), weight.shape);
    if (!tensor)
      return tensor.takeError();
    pieces.back().push_back(piece(**tensor));
    return Error::success();
  }

  Error mapPerExpert(const LogicalWeight &weight) {
    for (int64_t expert = 0; expert < weight.experts(); ++expert) {
      std::string name = expertTensorName(config, weight, expert);
      Expected<const TensorInfo *> tensor =
          take(fullName(weight, name), {weight.rows(), weight.columns()});
      if (!tensor)
        return tensor.takeError();
      pieces.back().push_back(piece(**tensor));
    }
    return Error::success();
  }

  Error mapFused(const LogicalWeight &weight) {
    StringRef kind = weightKind(weight);
    int64_t fusedRows =
        kind == "experts.down" ? weight.rows() : 2 * weight.rows();
    int64_t firstRow = kind == "experts.up" ? weight.rows() : 0;
    Expected<const TensorInfo *> tensor =
        take(fullName(weight, fusedTensorName(weight)),
             {weight.experts(), fusedRows, weight.columns()});
    if (!tensor)
      return tensor.takeError();
    for (int64_t expert = 0; expert < weight.experts(); ++expert)
      pieces.back().push_back(
          piece(**tensor, (expert * fusedRows + firstRow) * weight.columns()));
    return Error::success();
  }

  /// The head of a tied model is the embedding. A file may hold a copy of it;
  /// if it differs, transformers 5 does not tie, and the config is wrong.
  Error mapTied(const LogicalWeight &weight) {
    std::string name = fullName(weight, tensorName(config, weight, false));
    pieces.back() = pieces.front();
    if (!checkpoint.find(name))
      return Error::success();
    Expected<const TensorInfo *> tensor = take(name, weight.shape);
    if (!tensor)
      return tensor.takeError();
    llvm::ArrayRef<uint8_t> copy = checkpoint.data(**tensor);
    if ((*tensor)->type == pieces.front()[0].type &&
        copy == llvm::ArrayRef<uint8_t>(pieces.front()[0].data, copy.size()))
      return Error::success();
    return importError(checkpoint.path((*tensor)->file) + ": tensor " +
                       inQuotes(name) +
                       ": expected a copy of the embedding, since "
                       "tie_word_embeddings is true");
  }

  /// Buffers that older transformers saved; they follow from the config.
  static bool isDerived(StringRef name) {
    return name.ends_with(".rotary_emb.inv_freq");
  }

  Error checkUnused() const {
    constexpr size_t shown = 3;
    size_t count = 0;
    std::string list;
    unsigned file = 0;
    for (size_t i = 0; i < used.size(); ++i) {
      const TensorInfo &tensor = checkpoint.tensors()[i];
      if (used[i] || isDerived(tensor.name))
        continue;
      if (count == 0)
        file = tensor.file;
      if (count < shown)
        list += (count ? ", " : "") + inQuotes(tensor.name);
      ++count;
    }
    if (count == 0)
      return Error::success();
    if (count > shown)
      list += ", ...";
    return importError(checkpoint.path(file) +
                       ": expected no tensors but those "
                       "of this " +
                       architectureName(config.architecture) +
                       " config, found " + Twine(count) + " more: " + list);
  }
};

} // namespace

Expected<std::unique_ptr<WeightSource>>
moe::mapWeights(const ModelConfig &config, Checkpoint checkpoint) {
  std::vector<LogicalWeight> weights = logicalWeights(config);
  auto pieces = WeightMapper(config, checkpoint).map(weights);
  if (!pieces)
    return pieces.takeError();
  return std::make_unique<MappedWeights>(
      std::move(weights), std::move(checkpoint), std::move(*pieces));
}
