//===- RandomPlan.cpp - Graphs of dispatch, products and combine ----------===//
//
// Part of moe-mlir. What no moe.layer has: capacities, zero-compute experts,
// weights on the input, and losses.
//
//===----------------------------------------------------------------------===//

#include "GraphText.h"
#include "RandomGraph.h"

using namespace moec;
using namespace moec::test;
using llvm::formatv;

namespace {
class PlanText {
public:
  explicit PlanText(uint64_t seed) : choose(seed + 77) {}
  std::string make();

private:
  void route();
  void dispatch();
  TypedName multiply(TypedName x, int64_t from, int64_t to, bool gather,
                     std::string element);
  TypedName combine(TypedName y);
  void addLosses(std::vector<TypedName> &results);

  Chooser choose;
  FunctionText text;
  std::string weightElement;
  /// Experts that a choice may name, those with a row, choices a token.
  bool isGiven = false;
  int64_t all = 16, experts = 16, k = 1, hidden = 72;
  TypedName x, weights, ids, plan;
};
} // namespace

void PlanText::route() {
  weights.type = rowsType(k, "f32");
  ids.type = rowsType(k, "i32");
  if (choose.chance(60)) {
    // Given ids lie in 0 .. 15, in any order and more than once.
    weights.name = text.argument(weights.type);
    ids.name = text.argument(ids.type);
    isGiven = true;
    return;
  }
  std::string gate = matrixType(all, hidden, weightElement);
  std::string logits = rowsType(all, "f32");
  std::string w = text.argument(gate);
  std::string l = text.op(formatv("lm.linear {0}, {1} : ({2}, {3}) -> {4}",
                                  x.name, w, x.type, gate, logits));
  std::string router =
      choose.chance(50)
          ? formatv("<score = sigmoid, top_k = {0}, renormalize = l1>", k).str()
          : formatv("<top_k = {0}>", k).str();
  std::string name = text.op(formatv("moe.router {0} {1} : ({2}) -> ({3}, {4})",
                                     l, router, logits, weights.type, ids.type),
                             2);
  weights.name = name + "#0";
  ids.name = name + "#1";
}

void PlanText::dispatch() {
  plan.type = formatv("!moe.plan<{0}, {1}>", experts, k);
  std::string given, attributes, types = ids.type;
  if (choose.chance(70)) {
    std::string policy =
        choose.among<std::string>({"position", "slot_major", "probability"});
    if (policy == "probability") {
      given = " weights(" + weights.name + ")";
      types += ", " + weights.type;
    }
    std::string bound =
        choose.chance(50)
            ? formatv("capacity = {0} : i64", choose.integer(1, 6)).str()
            : formatv("capacity_factor = {0} : f64",
                      choose.among<std::string>({"0.25", "0.7", "1.25", "9.0"}))
                  .str();
    std::string least =
        choose.chance(30)
            ? formatv(", min_capacity = {0} : i64", choose.integer(0, 4)).str()
            : "";
    attributes = formatv(" {{{0}{1}, overflow = #moe.overflow<{2}>}", bound,
                         least, policy);
  }
  plan.name =
      text.op(formatv("moe.dispatch {0}{1} experts({2}){3} : ({4}) -> "
                      "{5}",
                      ids.name, given, experts, attributes, types, plan.type));
}

TypedName PlanText::multiply(TypedName rows, int64_t from, int64_t to,
                             bool gather, std::string element) {
  bool isGated = gather;
  std::string matrix = formatv("tensor<{0}x{1}x{2}x{3}>", experts,
                               isGated ? 2 * to : to, from, weightElement);
  std::string types = rows.type + ", " + matrix + ", " + plan.type, extra;
  std::string w = text.argument(matrix);
  if (choose.chance(40)) {
    std::string bias =
        matrixType(experts, isGated ? 2 * to : to, weightElement);
    extra += " bias(" + text.argument(bias) + ")";
    types += ", " + bias;
  }
  if (choose.chance(60)) {
    extra += " row_scale(" + weights.name + ")";
    types += ", " + weights.type;
  }
  if (isGated)
    extra += " epilogue <" +
             choose.among<std::string>({"silu", "gelu", "relu"}) + ">";
  std::string type = rowsType(to, element);
  return {text.op(formatv("moe.grouped_matmul{0} {1}, {2} by {3}{4} : ({5}) -> "
                          "{6}",
                          gather ? " gather" : "", rows.name, w, plan.name,
                          extra, types, type)),
          type};
}

TypedName PlanText::combine(TypedName y) {
  std::string types = y.type + ", " + weights.type + ", " + plan.type, extra,
              attributes;
  std::string type = rowsType(hidden, "f32");
  if (choose.chance(50)) {
    extra += " residual(" + text.argument(type) + ")";
    types += ", " + type;
  }
  if (choose.chance(30)) {
    std::string bias = formatv("tensor<{0}xf32>", hidden);
    extra += " bias(" + text.argument(bias) + ")";
    types += ", " + bias;
  }
  if (experts < all || choose.chance(20)) {
    extra += " identity(" + x.name + ", " + ids.name + ")";
    types += ", " + x.type + ", " + ids.type;
    attributes = formatv(" {{identity_from = {0} : i64}", experts);
  }
  return {text.op(formatv("moe.combine {0}, {1} by {2}{3}{4} : ({5}) -> {6}",
                          y.name, weights.name, plan.name, extra, attributes,
                          types, type)),
          type};
}

void PlanText::addLosses(std::vector<TypedName> &results) {
  std::string scalar = choose.chance(80) ? "tensor<f32>" : "tensor<f64>";
  std::string table = rowsType(all, "f32");
  std::string p = text.argument(table);
  std::string pair = formatv("({0}, {1})", table, ids.type);
  results.push_back(
      {text.op(formatv("moe.load_balance_loss {0}, {1} {{weight = 0.3 : f64} : "
                       "{2} -> {3}",
                       p, ids.name, pair, scalar)),
       scalar});
  results.push_back(
      {text.op(formatv("moe.z_loss {0} : ({1}) -> {2}", p, table, scalar)),
       scalar});
  if (!isGiven)
    return;
  results.push_back(
      {text.op(formatv("moe.importance_loss {0}, {1} experts({2}) : ({3}, {4}) "
                       "-> {5}",
                       weights.name, ids.name, all, weights.type, ids.type,
                       scalar)),
       scalar});
}

std::string PlanText::make() {
  weightElement = choose.among<std::string>({"f32", "bf16", "bf16", "f16"});
  std::string element = choose.chance(30) ? std::string("f32") : weightElement;
  hidden = choose.among<int64_t>({72, choose.integer(16, 150)});
  int64_t width = choose.integer(1, 80);
  experts = choose.among<int64_t>({5, 16, choose.integer(1, 16)});
  k = choose.among<int64_t>({1, 3, choose.integer(1, 8)});
  x.type = rowsType(hidden, element);
  x.name = text.argument(x.type);
  route();
  dispatch();
  TypedName h = multiply(x, hidden, width, /*gather=*/true, element);
  TypedName y = multiply(h, width, hidden, /*gather=*/false,
                         choose.chance(70) ? "f32" : element);
  std::vector<TypedName> results = {combine(y)};
  // A choice changed by rounding would change another row.
  if (isGiven && choose.chance(40))
    results.push_back(y);
  if (choose.chance(60))
    addLosses(results);
  return text.finish("plan", results);
}

std::string test::makePlanGraph(uint64_t seed) { return PlanText(seed).make(); }
