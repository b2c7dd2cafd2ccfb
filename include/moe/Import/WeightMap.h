//===- WeightMap.h - Logical weights and where they come from ---*- C++ -*-===//
//
// Part of moe-mlir. A model has the same logical weights whatever its
// checkpoint calls them and however it fuses or shards them:
//
//   embed [V,H]   head [V,H]   final_norm [H]
//   layers.L.input_norm [H]    layers.L.post_norm [H]
//   layers.L.attn.{q,k,v,o} [N,K]      layers.L.attn.{q,k,v,o}_bias [N]
//   layers.L.attn.{q,k}_norm [width or headDim]
//   layers.L.router [E,H]
//   layers.L.experts.{gate,up} [E,F,H]   layers.L.experts.down [E,H,F]
//   layers.L.shared.{gate,up} [S,H]      layers.L.shared.down [H,S]
//   layers.L.shared_gate [1,H]
//   layers.L.mlp.{gate,up} [F,H]         layers.L.mlp.down [H,F]
//
// All are row-major with the contracted dimension last. With tied embeddings,
// `head` exists, is marked tied, and reads the rows of `embed`.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_IMPORT_WEIGHTMAP_H
#define MOE_IMPORT_WEIGHTMAP_H

#include "moe/Import/ModelConfig.h"
#include "moe/Import/Safetensors.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

#include <memory>

namespace moe {

enum class WeightRole {
  Embedding,
  Head,
  Matrix,
  /// Routers keep their precision when the other matrices are quantised.
  Router,
  ExpertMatrix,
  Norm,
  Bias
};

struct LogicalWeight {
  std::string name;
  WeightRole role = WeightRole::Matrix;
  /// [K] (norms and biases), [N,K], or [E,N,K] for expert matrices.
  llvm::SmallVector<int64_t, 3> shape;
  /// -1 outside the layers.
  int64_t layer = -1;
  /// `head` of a model with tied embeddings: the rows of `embed`.
  bool tied = false;

  int64_t experts() const { return shape.size() == 3 ? shape[0] : 1; }
  int64_t rows() const {
    return shape.size() == 1 ? 1 : shape[shape.size() - 2];
  }
  int64_t columns() const { return shape.back(); }
  int64_t elements() const { return experts() * rows() * columns(); }
};

/// Weights of a model in layer order: embed, layers, final_norm, head.
std::vector<LogicalWeight> logicalWeights(const ModelConfig &config);

struct ParameterCount {
  int64_t total = 0;
  /// Used for one token: of the experts only topK. Tied weights count once.
  int64_t active = 0;
};
ParameterCount countParameters(const ModelConfig &config);

/// columns() consecutive elements of a mapped file; `data` may be unaligned.
struct RawRow {
  const void *data = nullptr;
  ElementType type = ElementType::F32;
};

/// Where a packer gets the values of logical weights from. Const methods may be
/// called from several threads. The weights passed in must be of this source.
class WeightSource {
public:
  virtual ~WeightSource();

  llvm::ArrayRef<LogicalWeight> weights() const { return logical; }
  /// The weight of this name, or null.
  const LogicalWeight *find(llvm::StringRef name) const;

  /// The type that `expert`'s values are stored in (F32 where generated).
  virtual ElementType storedType(const LogicalWeight &weight,
                                 int64_t expert) const = 0;

  /// Row `row` of expert `expert` (0 <= both, within the shape), widened to
  /// f32. out.size() must be weight.columns().
  virtual void readRow(const LogicalWeight &weight, int64_t expert, int64_t row,
                       llvm::MutableArrayRef<float> out) const = 0;

  /// The same row where it lies in a mapped file, or nothing if it is
  /// generated. Rows of one expert are contiguous: row r + 1 follows row r.
  virtual std::optional<RawRow> rowPointer(const LogicalWeight &weight,
                                           int64_t expert, int64_t row) const {
    return std::nullopt;
  }

protected:
  explicit WeightSource(std::vector<LogicalWeight> weights);
  /// Position of `weight` in weights().
  size_t indexOf(const LogicalWeight &weight) const;

private:
  std::vector<LogicalWeight> logical;
  llvm::StringMap<size_t> byName;
};

/// Matches the logical weights of `config` with the tensors of `checkpoint`,
/// which the source keeps. A missing, misshaped or unknown tensor is an error
/// of one line that names it and what was expected.
llvm::Expected<std::unique_ptr<WeightSource>>
mapWeights(const ModelConfig &config, Checkpoint checkpoint);

/// Generated values, the same for the same (seed, weight name, expert, row) on
/// every machine: matrices N(0, 1/fan-in), embeddings N(0, 1), norms 1, biases
/// N(0, 0.02^2).
std::unique_ptr<WeightSource> randomWeights(const ModelConfig &config,
                                            uint64_t seed);

} // namespace moe

#endif // MOE_IMPORT_WEIGHTMAP_H
