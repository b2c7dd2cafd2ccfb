//===- ProfileReport.cpp - A profile as tables and as JSON ----------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "ProfileReport.h"

#include "Output.h"

#include <algorithm>

namespace moe::runtime {

using nlohmann::ordered_json;

namespace {
/// Parts that are shown as one.
struct Row {
  std::string name, op, recipe;
  int64_t layer = -1, count = 0;
  PartTimes times;

  void add(const StepProfile::Entry &entry) {
    times += entry.times;
    ++count;
  }
};

/// The rows of a profile, and how they are shown.
class Report {
public:
  Report(const ProfiledTest &test, const StepProfile &profile)
      : test(test), profile(profile) {}

  /// In the order of the step, or the most expensive first.
  std::vector<Row> byPart() const;
  std::vector<Row> byLayer() const;
  std::vector<Row> all() const;

  double milliseconds(double seconds) const {
    return 1e3 * seconds / double(test.units);
  }
  double share(double seconds) const {
    return profile.seconds() > 0 ? seconds / profile.seconds() : 0;
  }
  ordered_json json(const PartTimes &times) const;
  /// Cells "ms | % | floor ms | ms / floor".
  std::string cells(const PartTimes &times) const;
  std::string totals(const std::string &label, size_t columns,
                     size_t behind) const;
  PartTimes sum() const;

private:
  const ProfiledTest &test;
  const StepProfile &profile;
};
} // namespace

std::vector<Row> Report::byPart() const {
  std::vector<Row> rows;
  for (const StepProfile::Entry &entry : profile.entries()) {
    const StepPart &part = *entry.part;
    auto same = std::ranges::find_if(rows, [&](const Row &row) {
      return row.name == part.name && row.op == part.op &&
             row.recipe == part.recipe;
    });
    if (same == rows.end())
      same =
          rows.insert(rows.end(), {part.name, part.op, part.recipe, -1, 0, {}});
    same->add(entry);
  }
  return rows;
}

std::vector<Row> Report::byLayer() const {
  std::vector<Row> rows;
  for (const StepProfile::Entry &entry : profile.entries()) {
    auto same = std::ranges::find(rows, entry.layer, &Row::layer);
    if (same == rows.end()) {
      Row row;
      row.layer = entry.layer;
      same = rows.insert(rows.end(), row);
    }
    same->add(entry);
    // Gate, up and down take the same experts: those of one of them count.
    if (entry.times.experts > 0)
      same->times.experts = entry.times.experts;
  }
  std::ranges::sort(rows, {}, &Row::layer);
  return rows;
}

std::vector<Row> Report::all() const {
  std::vector<Row> rows;
  for (const StepProfile::Entry &entry : profile.entries()) {
    const StepPart &part = *entry.part;
    rows.push_back({part.name, part.op, part.recipe, entry.layer, 0, {}});
    rows.back().add(entry);
  }
  return rows;
}

PartTimes Report::sum() const {
  PartTimes sum;
  for (const StepProfile::Entry &entry : profile.entries())
    sum += entry.times;
  sum.seconds = profile.seconds();
  return sum;
}

//===----------------------------------------------------------------------===//
// Markdown
//===----------------------------------------------------------------------===//

static std::string orDash(double value, int digits) {
  return value > 0 ? fixed(value, digits) : "-";
}

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

std::string Report::cells(const PartTimes &times) const {
  return fixed(milliseconds(times.seconds), 3) + " | " +
         fixed(100 * share(times.seconds), 1) + " % | " +
         orDash(milliseconds(times.floor), 3) + " | " +
         (milliseconds(times.floor) < 0.0005
              ? "-"
              : fixed(ratio(times.seconds, times.floor), 2));
}

/// Rows for what is left of a step, and for all of it; `columns` in front of
/// the times, `behind` them.
std::string Report::totals(const std::string &label, size_t columns,
                           size_t behind) const {
  std::string front, back;
  for (size_t i = 1; i < columns; ++i)
    front += " |";
  for (size_t i = 0; i < behind; ++i)
    back += " |";
  PartTimes leaving{profile.leaving()};
  return "| leaving the step |" + front + " " + cells(leaving) + " |" + back +
         "\n| " + label + " |" + front + " " + cells(sum()) + " |" + back +
         "\n";
}

static std::string ceilingsText(const Ceilings &ceilings) {
  std::string text = "read " + orDash(ceilings.readRate / 1e9, 1) + " GB/s";
  for (const auto &[recipe, peak] : ceilings.peaks)
    text += ", " + recipe + " " + orDash(peak / 1e9, 0) + " GFLOP/s";
  return text;
}

static std::string partTable(const Report &report) {
  std::vector<Row> rows = report.byPart();
  std::ranges::sort(rows, std::greater(),
                    [](const Row &row) { return row.times.seconds; });
  std::string text =
      "| part | op | count | ms | share | floor ms | ms / floor | GFLOP/s | "
      "GB/s |\n"
      "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
  for (const Row &row : rows) {
    const PartTimes &times = row.times;
    text += "| " + row.name + " | " + row.op + " | " +
            std::to_string(row.count) + " | " + report.cells(times) + " | " +
            orDash(ratio(times.flops, times.seconds) / 1e9, 1) + " | " +
            orDash(ratio(times.bytes, times.seconds) / 1e9, 1) + " |\n";
  }
  return text + report.totals("all", 3, 2);
}

static std::string layerTable(const Report &report, int64_t calls) {
  std::string text =
      "| layer | experts chosen | ms | share | floor ms | ms / floor |\n"
      "| --- | ---: | ---: | ---: | ---: | ---: |\n";
  for (const Row &row : report.byLayer())
    text += "| " +
            (row.layer < 0 ? "outside of layers" : std::to_string(row.layer)) +
            " | " + orDash(row.times.experts / double(calls), 1) + " | " +
            report.cells(row.times) + " |\n";
  return text + report.totals("all", 2, 0);
}

std::string profileMarkdown(const ProfiledTest &test,
                            const StepProfile &profile) {
  Report report(test, profile);
  int64_t calls = std::max<int64_t>(profile.calls(), 1);
  std::string shown = test.isPrompt ? "the prompt" : "a token, mean";
  return "\nWhere the time of " + test.name + " went, " +
         std::to_string(test.threads) +
         (test.threads == 1 ? " thread" : " threads") + ": ms of " + shown +
         " of the median of " + std::to_string(test.runs) +
         (test.runs == 1 ? " run" : " runs") + "; floors by " +
         ceilingsText(profile.ceilings()) + ".\n\n" + partTable(report) + "\n" +
         layerTable(report, calls);
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

ordered_json Report::json(const PartTimes &times) const {
  ordered_json entry;
  entry["ms"] = milliseconds(times.seconds);
  entry["share"] = share(times.seconds);
  entry["floor_ms"] = milliseconds(times.floor);
  entry["bytes"] = times.bytes / double(test.units);
  entry["flops"] = times.flops / double(test.units);
  return entry;
}

static ordered_json named(const Row &row, const ordered_json &numbers) {
  ordered_json entry = {{"name", row.name}, {"op", row.op}};
  if (!row.recipe.empty())
    entry["recipe"] = row.recipe;
  entry.update(numbers);
  return entry;
}

ordered_json profileJson(const ProfiledTest &test, const StepProfile &profile) {
  Report report(test, profile);
  double calls = double(std::max<int64_t>(profile.calls(), 1));
  ordered_json json;
  json["unit"] = test.unit();
  json["units"] = test.units;
  json["calls"] = profile.calls();
  json["median_of"] = test.runs;
  json["ms"] = report.milliseconds(profile.seconds());
  json["leaving_ms"] = report.milliseconds(profile.leaving());
  json["read_bytes_per_second"] = profile.ceilings().readRate;
  json["peak_flops_per_second"] = profile.ceilings().peaks;
  json["parts"] = ordered_json::array();
  for (const Row &row : report.byPart()) {
    ordered_json entry = named(row, report.json(row.times));
    entry["count"] = row.count;
    json["parts"].push_back(entry);
  }
  json["layers"] = ordered_json::array();
  for (const Row &row : report.byLayer()) {
    ordered_json entry = {{"layer", row.layer}};
    entry.update(report.json(row.times));
    entry["experts"] = row.times.experts / calls;
    json["layers"].push_back(entry);
  }
  json["parts_of_layers"] = ordered_json::array();
  for (const Row &row : report.all()) {
    ordered_json entry = {{"layer", row.layer}};
    entry.update(named(row, report.json(row.times)));
    json["parts_of_layers"].push_back(entry);
  }
  return json;
}

} // namespace moe::runtime
