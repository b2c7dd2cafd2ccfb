//===- Pack.cpp - Weights into the layout that kernels read ---------------===//
//
// Part of moe-mlir. Memory is bounded: weights are packed a few megabytes at a
// time, by several threads, and written in order.
//
//===----------------------------------------------------------------------===//

#include "moe/Driver/Pack.h"

#include "Diagnostics.h"
#include "dialects/LM/IR/WeightFormat.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace moec;
using lm::Layout;
using lm::PackedType;

/// f32 -> bf16, round to nearest even. No branch: a loop of it is vectors.
static uint16_t toBF16(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  uint32_t quiet = (bits >> 16) | 0x40;
  uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return std::isnan(value) ? quiet : rounded;
}

/// Two bytes an element, wherever `out` lies.
template <typename Convert>
static void writeHalves(llvm::ArrayRef<float> wide, char *out,
                        Convert convert) {
  for (size_t i = 0; i < wide.size(); ++i) {
    uint16_t half = convert(wide[i]);
    std::memcpy(out + 2 * i, &half, 2);
  }
}

namespace {
/// Reads rows as bytes of the packed element type.
class RowConverter {
public:
  RowConverter(PackedType type, const RowReader &reader)
      : type(type), reader(reader), wide(type.getColumns()) {
    if (type.getShape().size() == 1)
      wide.resize(type.getRows());
  }

  int64_t elements() const { return wide.size(); }
  int64_t width() const { return bits() / 8; }

  /// Writes the row's elements to `out`.
  void read(int64_t expert, int64_t row, char *out) {
    if (std::optional<moe::RawRow> raw = reader.raw(expert, row))
      if (isSame(raw->type)) {
        std::memcpy(out, raw->data, elements() * width());
        return;
      }
    reader.read(expert, row, wide);
    if (bits() == 32) {
      std::memcpy(out, wide.data(), elements() * 4);
      return;
    }
    if (type.getFormat() == lm::Format::BF16)
      writeHalves(wide, out, toBF16);
    else
      writeHalves(wide, out, lm::toHalf);
  }

private:
  int64_t bits() const { return type.getStorageType().getIntOrFloatBitWidth(); }
  bool isSame(moe::ElementType stored) const {
    lm::Format format = type.getFormat();
    return (stored == moe::ElementType::F32 && format == lm::Format::F32) ||
           (stored == moe::ElementType::BF16 && format == lm::Format::BF16) ||
           (stored == moe::ElementType::F16 && format == lm::Format::F16);
  }

  PackedType type;
  const RowReader &reader;
  std::vector<float> wide;
};
} // namespace

/// First row of a panel, and how many of its 16 lanes are rows.
static std::pair<int64_t, int64_t> panelRows(PackedType type, int64_t panel) {
  int64_t lanes = PackedType::kLanes, first, end = type.getRows();
  if (type.getLayout() == Layout::PairedPanel) {
    int64_t half = type.getRows() / 2;
    first = panel / 2 * lanes + (panel % 2 ? half : 0);
    end = panel % 2 ? type.getRows() : half;
  } else {
    first = panel * lanes;
  }
  return {first, std::clamp<int64_t>(end - first, 0, lanes)};
}

/// One panel in a quantised format. Lanes without a row are rows of zeros.
static void packQuantised(PackedType type, const RowReader &reader,
                          int64_t expert, int64_t number,
                          llvm::MutableArrayRef<char> panel) {
  int64_t columns = type.getColumns();
  auto layout = lm::QuantisedLayout::of(type.getFormat());
  int64_t padded = layout.paddedColumns(type.getLines());
  std::vector<float> row(padded);
  auto [first, valid] = panelRows(type, number);
  for (int64_t lane = 0; lane < PackedType::kLanes; ++lane) {
    if (lane < valid)
      reader.read(expert, first + lane,
                  llvm::MutableArrayRef<float>(row).take_front(columns));
    else
      std::fill(row.begin(), row.end(), 0);
    lm::storeRow(type.getFormat(), lm::quantiseRow(type.getFormat(), row), lane,
                 panel);
  }
}

void moec::packPanels(PackedType type, const RowReader &reader, int64_t expert,
                      int64_t firstPanel, int64_t count,
                      llvm::MutableArrayRef<char> out) {
  RowConverter rows(type, reader);
  if (type.getLayout() == Layout::RowMajor) {
    int64_t bytes = rows.elements() * rows.width();
    for (int64_t i = 0; i < count; ++i)
      rows.read(expert, firstPanel + i, out.data() + i * bytes);
    return;
  }
  int64_t lines = type.getLines();
  if (type.isQuantised()) {
    for (int64_t i = 0; i < count; ++i)
      packQuantised(type, reader, expert, firstPanel + i,
                    out.slice(i * lines * 64, lines * 64));
    return;
  }
  std::vector<uint32_t> row(lines); // one 4-byte step a line, zero-padded
  for (int64_t i = 0; i < count; ++i) {
    char *panel = out.data() + i * lines * 64;
    auto [first, valid] = panelRows(type, firstPanel + i);
    for (int64_t lane = 0; lane < PackedType::kLanes; ++lane) {
      std::fill(row.begin(), row.end(), 0);
      if (lane < valid)
        rows.read(expert, first + lane, reinterpret_cast<char *>(row.data()));
      char *target = panel + lane * 4;
      for (int64_t line = 0; line < lines; ++line)
        std::memcpy(target + line * 64, &row[line], 4);
    }
  }
}

static llvm::Error noSuchWeight(llvm::StringRef name) {
  return makeError("weight '" + name + "' has no source in the model");
}

static RowReader readerOf(const moe::WeightSource &source,
                          const moe::LogicalWeight &weight) {
  return {[&source, &weight](int64_t expert, int64_t row,
                             llvm::MutableArrayRef<float> out) {
            source.readRow(weight, expert, row, out);
          },
          [&source, &weight](int64_t expert, int64_t row) {
            return source.rowPointer(weight, expert, row);
          }};
}

llvm::Expected<RowReader> moec::findRows(llvm::StringRef name,
                                         const moe::WeightSource &source,
                                         const moe::ModelConfig &config) {
  if (name == "rope.inv_freq")
    return RowReader{[&config](int64_t, int64_t,
                               llvm::MutableArrayRef<float> out) {
                       std::copy(config.invFreq.begin(), config.invFreq.end(),
                                 out.begin());
                     },
                     [](int64_t, int64_t) { return std::nullopt; }};
  llvm::StringRef stem = name;
  if (!stem.consume_back("gate_up")) {
    const moe::LogicalWeight *weight = source.find(name);
    if (!weight)
      return noSuchWeight(name);
    return readerOf(source, *weight);
  }
  const moe::LogicalWeight *gate = source.find((stem + "gate").str());
  const moe::LogicalWeight *up = source.find((stem + "up").str());
  if (!gate || !up)
    return noSuchWeight(name);
  RowReader first = readerOf(source, *gate), second = readerOf(source, *up);
  int64_t half = gate->rows();
  return RowReader{
      [first, second, half](int64_t e, int64_t row,
                            llvm::MutableArrayRef<float> out) {
        row < half ? first.read(e, row, out) : second.read(e, row - half, out);
      },
      [first, second, half](int64_t e, int64_t row) {
        return row < half ? first.raw(e, row) : second.raw(e, row - half);
      }};
}

namespace {
/// A run of panels or rows, packed by one thread.
struct PackJob {
  PackedType type;
  const RowReader *reader;
  int64_t expert, first, count;
  int64_t offset, bytes; ///< in the payload
};
} // namespace

/// Cuts a weight into jobs of a few megabytes.
static void addJobs(const WeightPlacement &weight, const RowReader &reader,
                    std::vector<PackJob> &jobs) {
  PackedType type = weight.type;
  bool rowMajor = type.getLayout() == Layout::RowMajor;
  bool vector = type.getShape().size() == 1;
  int64_t units = rowMajor ? (vector ? 1 : type.getRows()) : type.getPanels();
  int64_t unitBytes = type.getMatrixBytes() / units;
  int64_t most = std::max<int64_t>(1, (int64_t(4) << 20) / unitBytes);
  for (int64_t e = 0; e < type.getExperts(); ++e)
    for (int64_t first = 0; first < units; first += most) {
      int64_t count = std::min(most, units - first);
      int64_t offset =
          weight.offset + e * type.getMatrixBytes() + first * unitBytes;
      jobs.push_back(
          {type, &reader, e, first, count, offset, count * unitBytes});
    }
}

namespace {
/// What one job packs, and when it has.
struct PackedRun {
  std::vector<char> bytes;
  std::future<void> packed;

  void start(const PackJob &job) {
    bytes.resize(job.bytes);
    packed = std::async(kThreadIfPossible, [this, &job] {
      packPanels(job.type, *job.reader, job.expert, job.first, job.count,
                 bytes);
    });
  }
};
} // namespace

/// Packs with `threads` threads, ahead of `write`, which gets each job's bytes
/// in order: the processors pack while the disk writes.
static llvm::Error runJobs(
    llvm::ArrayRef<PackJob> jobs, unsigned threads,
    llvm::function_ref<llvm::Error(const PackJob &, llvm::ArrayRef<char>)>
        write) {
  std::vector<PackedRun> runs(threads + 1);
  for (size_t i = 0; i < std::min<size_t>(threads, jobs.size()); ++i)
    runs[i].start(jobs[i]);
  for (size_t i = 0; i < jobs.size(); ++i) {
    PackedRun &run = runs[i % runs.size()];
    run.packed.get();
    if (size_t next = i + threads; next < jobs.size())
      runs[next % runs.size()].start(jobs[next]);
    if (llvm::Error error = write(jobs[i], run.bytes))
      return error;
  }
  return llvm::Error::success();
}

std::vector<WeightPlacement> moec::takePlacements(ModuleOp module) {
  std::vector<WeightPlacement> placements;
  for (auto weights :
       llvm::make_early_inc_range(module.getOps<lm::WeightsOp>())) {
    if (auto type = llvm::dyn_cast<PackedType>(weights.getType()))
      placements.push_back(
          {weights.getSymName().str(), type, int64_t(*weights.getOffset())});
    weights.erase();
  }
  return placements;
}

llvm::Error moec::packWeights(
    llvm::ArrayRef<WeightPlacement> placements, const moe::WeightSource &source,
    const moe::ModelConfig &config, unsigned threads,
    llvm::function_ref<llvm::Error(llvm::ArrayRef<char>)> sink) {
  std::vector<RowReader> readers;
  readers.reserve(placements.size()); // jobs point to them
  std::vector<PackJob> jobs;
  for (const WeightPlacement &weight : placements) {
    llvm::Expected<RowReader> reader =
        findRows(weight.name, source, config);
    if (!reader)
      return reader.takeError();
    readers.push_back(std::move(*reader));
    addJobs(weight, readers.back(), jobs);
  }
  int64_t written = 0;
  auto write = [&](const PackJob &job,
                   llvm::ArrayRef<char> bytes) -> llvm::Error {
    std::vector<char> padding(job.offset - written, 0);
    written = job.offset + job.bytes;
    if (!padding.empty())
      if (llvm::Error error = sink(padding))
        return error;
    return sink(bytes);
  };
  return runJobs(jobs, std::max(1u, threads), write);
}
