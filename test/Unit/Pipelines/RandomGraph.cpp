//===- RandomGraph.cpp - Graphs made from a seed --------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "RandomGraph.h"
#include "GraphText.h"

using namespace moec;
using namespace moec::test;
using llvm::formatv;

//===----------------------------------------------------------------------===//
// moe.layer
//===----------------------------------------------------------------------===//

std::string test::makeRouter(Chooser &choose, int64_t experts, int64_t topK) {
  if (topK == 2 && choose.chance(40))
    return "#moe.router<score = sparse_mixer, top_k = 2" +
           choose.among<std::string>(
               {">", ", eps = 0.01 : f64>", ", eps = 0.3 : f64>",
                ", eps = 0.05 : f64, scale = 2.5 : f64>"});
  std::string score =
      choose.among<std::string>({"softmax", "softmax", "sigmoid", "identity"});
  bool isIdentity = score == "identity";
  std::string text =
      formatv("#moe.router<score = {0}, top_k = {1}", score, topK);
  std::vector<std::string> renormalize = {"none", "softmax"};
  if (!isIdentity)
    renormalize = {"none", "l1", "softmax", "clamped_sum", "lp"};
  std::string chosen = choose.among(renormalize);
  text += ", renormalize = " + chosen;
  if (chosen == "lp")
    text +=
        ", p = " +
        choose.among<std::string>({"1.0", "2.0", "0.5", "1.7", "3.0", "40.0"}) +
        " : f64";
  if (chosen == "l1" && choose.chance(50))
    text += ", eps = 1.0e-20 : f64";
  if (chosen == "clamped_sum")
    text += ", eps = 0.1 : f64";
  if (choose.chance(30))
    text += ", scale = 2.5 : f64";
  bool isBiased = !isIdentity && choose.chance(30);
  if (isBiased)
    text += ", select = biased_score";
  else if (choose.chance(20))
    text += ", select = logit";
  std::vector<int64_t> divisors;
  for (int64_t g = 2; g <= experts / 2; ++g)
    if (experts % g == 0)
      divisors.push_back(g);
  if (!divisors.empty() && choose.chance(50)) {
    int64_t groups = choose.among(divisors);
    text += formatv(", groups = {0}, top_groups = {1}, group_score = {2}, "
                    "masked = {3}",
                    groups, choose.integer(1, groups),
                    choose.chance(50) ? "max" : "top2_sum",
                    choose.chance(70) ? "neg_inf" : "zero");
  }
  return text + ">";
}

std::string test::makeLayerGraph(uint64_t seed) {
  Chooser choose(seed);
  // Beyond 256 columns a product is cut another way between slots.
  int64_t hidden = choose.integer(16, choose.chance(20) ? 400 : 150);
  int64_t width = choose.integer(1, choose.chance(20) ? 300 : 80);
  int64_t experts = choose.integer(1, 17);
  int64_t topK = choose.integer(1, std::min<int64_t>(experts, 8));
  if (experts >= 2 && choose.chance(20))
    topK = 2;
  std::string weight = choose.among<std::string>({"f32", "bf16", "f16"});
  std::string x = choose.chance(30) ? "f32" : weight;
  std::string result = choose.chance(50) ? "f32" : x;
  std::string router = makeRouter(choose, experts, topK);

  FunctionText text;
  std::vector<std::string> types;
  auto argument = [&](const std::string &type) {
    types.push_back(type);
    return text.argument(type);
  };
  std::string op = "moe.layer " + argument(rowsType(hidden, x));
  op += " router(" + argument(matrixType(experts, hidden, weight));
  if (router.find("biased_score") != std::string::npos)
    op += " bias " + argument(formatv("tensor<{0}xf32>", experts));
  std::string gateUp =
      formatv("tensor<{0}x{1}x{2}x{3}>", experts, 2 * width, hidden, weight);
  op += ") experts(" + argument(gateUp) + ", ";
  op += argument(formatv("tensor<{0}x{1}x{2}x{3}>", experts, hidden, width,
                         weight)) +
        ")";
  if (choose.chance(40)) {
    int64_t shared = choose.integer(1, 80);
    op += " shared(" + argument(matrixType(2 * shared, hidden, weight)) + ", ";
    op += argument(matrixType(hidden, shared, weight));
    if (choose.chance(50))
      op += " gate " + argument(matrixType(1, hidden, weight));
    op += ")";
  }
  if (choose.chance(50))
    op += " residual(" + argument(rowsType(hidden, result)) + ")";
  op +=
      " " + router + " <" +
      choose.among<std::string>({"silu", "silu", "gelu", "gelu_tanh", "relu"}) +
      "> : (";
  for (size_t i = 0; i < types.size(); ++i)
    op += (i ? ", " : "") + types[i];
  std::string type = rowsType(hidden, result);
  return text.finish("layer", {{text.op(op + ") -> " + type), type}});
}

//===----------------------------------------------------------------------===//
// A decoder block without experts
//===----------------------------------------------------------------------===//

namespace {
/// A value of rows.
struct Rows {
  std::string name;
  int64_t columns;
  std::string element;
  std::string type() const { return rowsType(columns, element); }
};

class BlockText {
public:
  explicit BlockText(uint64_t seed) : choose(seed) {}
  std::string make();

private:
  Rows norm(Rows x, std::string element);
  Rows linear(Rows x, int64_t columns, std::string element);
  Rows headNorm(Rows x, int64_t heads);
  Rows rope(Rows x, int64_t heads, std::string element);
  Rows attention(Rows x);
  Rows feedForward(Rows x);

  Chooser choose;
  FunctionText text;
  std::string tokens, position, weight;
  Rows table;
  int64_t headDim = 0;
  bool isAdjacent = false;
};
} // namespace

Rows BlockText::norm(Rows x, std::string element) {
  Rows result{"", x.columns, element};
  std::string vector = formatv("tensor<{0}x{1}>", x.columns, weight);
  std::string w = text.argument(vector);
  if (choose.chance(60)) {
    result.name = text.op(
        formatv("lm.rms_norm {0}, {1} {{eps = 1.0e-05 : f64} : ({2}, {3}) -> "
                "{4}",
                x.name, w, x.type(), vector, result.type()));
    return result;
  }
  bool hasBias = choose.chance(50);
  std::string bias =
      hasBias ? " bias(" + text.argument(vector) + ")" : std::string();
  result.name = text.op(
      formatv("lm.layer_norm {0}, {1}{2} {{eps = 1.0e-05 : f64} : ({3}, {4}{5})"
              " -> {6}",
              x.name, w, bias, x.type(), vector, hasBias ? ", " + vector : "",
              result.type()));
  return result;
}

Rows BlockText::linear(Rows x, int64_t columns, std::string element) {
  Rows result{"", columns, element};
  std::string matrix = matrixType(columns, x.columns, weight);
  std::string vector = formatv("tensor<{0}x{1}>", columns, weight);
  std::string w = text.argument(matrix), bias;
  bool hasBias = choose.chance(50);
  if (hasBias)
    bias = " bias(" + text.argument(vector) + ")";
  result.name = text.op(
      formatv("lm.linear {0}, {1}{2}{3} : ({4}, {5}{6}) -> {7}", x.name, w,
              bias, choose.chance(20) ? " {clip = 1.5 : f64}" : "", x.type(),
              matrix, hasBias ? ", " + vector : "", result.type()));
  return result;
}

Rows BlockText::headNorm(Rows x, int64_t heads) {
  std::string vector = formatv("tensor<{0}x{1}>", headDim, weight);
  std::string w = text.argument(vector);
  return {text.op(formatv("lm.rms_norm {0}, {1} {{eps = 1.0e-06 : f64, groups "
                          "= {2} : i64} : ({3}, {4}) -> {3}",
                          x.name, w, heads, x.type(), vector)),
          x.columns, x.element};
}

Rows BlockText::rope(Rows x, int64_t heads, std::string element) {
  Rows result{"", x.columns, element};
  result.name = text.op(formatv(
      "lm.rope {0}, {1} {{heads = {2} : i64{3}} : ({4}, {5}) -> {6}", x.name,
      table.name, heads,
      isAdjacent ? ", style = #lm.rope_style<adjacent>" : "", x.type(),
      table.type(), result.type()));
  return result;
}

Rows BlockText::attention(Rows x) {
  int64_t kvHeads = choose.integer(1, 3);
  int64_t heads = kvHeads * choose.integer(1, 3);
  Rows q = linear(x, heads * headDim, "f32");
  Rows k = linear(x, kvHeads * headDim, "f32");
  Rows v = linear(x, kvHeads * headDim, "f32");
  if (choose.chance(50)) {
    q = headNorm(q, heads);
    k = headNorm(k, kvHeads);
  }
  q = rope(q, heads, choose.chance(50) ? std::string("f32") : weight);
  k = rope(k, kvHeads, "f32");
  std::string state =
      formatv("!lm.state<{0}x{1}x{2}>", kvHeads, headDim,
              choose.among<std::string>({"f32", "bf16", "f16", "i8"}));
  std::string kv = text.argument(state), sinks;
  std::string sinkType = formatv("tensor<{0}xf32>", heads);
  bool hasSinks = choose.chance(30);
  if (hasSinks)
    sinks = " sinks(" + text.argument(sinkType) + ")";
  Rows result{"", q.columns, choose.chance(50) ? std::string("f32") : weight};
  result.name = text.op(formatv(
      "lm.attention {0} append({1}, {2}) state({3}) at {4}{5} {{heads = {6} : "
      "i64, scale = 0.25 : f64, window = {7} : i64} : ({8}, {9}, {9}, {10}, "
      "index{11}) -> {12}",
      q.name, k.name, v.name, kv, position, sinks, heads,
      choose.among<int64_t>({0, 0, 1, 5, 70}), q.type(), k.type(), state,
      hasSinks ? ", " + sinkType : "", result.type()));
  return result;
}

Rows BlockText::feedForward(Rows x) {
  int64_t width = choose.integer(1, 120);
  std::string matrix = matrixType(2 * width, x.columns, weight);
  std::string w = text.argument(matrix);
  Rows hidden{"", width, x.element};
  hidden.name = text.op(
      formatv("lm.gated_linear {0}, {1} <{2}> : ({3}, {4}) -> {5}", x.name, w,
              choose.among<std::string>({"silu", "gelu", "gelu_tanh", "relu"}),
              x.type(), matrix, hidden.type()));
  return linear(hidden, x.columns, "f32");
}

std::string BlockText::make() {
  int64_t hidden = choose.integer(16, 150);
  weight = choose.among<std::string>({"f32", "bf16", "f16"});
  std::string element = choose.chance(50) ? std::string("f32") : weight;
  headDim = 2 * choose.integer(4, 24);
  isAdjacent = choose.chance(40);
  Rows x{text.argument(rowsType(hidden, "f32")), hidden, "f32"};
  tokens = text.argument("tensor<?xi32>");
  position = text.argument("index");
  int64_t angles = headDim / 2 - (choose.chance(30) ? 1 : 0);
  std::string frequencies = formatv("tensor<{0}xf32>", angles);
  std::string w = text.argument(frequencies);
  table = {"", 2 * angles, "f32"};
  table.name = text.op(formatv(
      "lm.rope_table {0} at {1} tokens({2}) : ({3}, index, tensor<?xi32>) -> "
      "{4}",
      w, position, tokens, frequencies, table.type()));

  auto add = [&](Rows a, Rows b) -> Rows {
    return {text.op(formatv("lm.add {0}, {1} : ({2}, {3}) -> {2}", a.name,
                            b.name, a.type(), b.type())),
            a.columns, a.element};
  };
  Rows mixed = attention(norm(x, element));
  x = add(x, linear(mixed, hidden, "f32"));
  Rows y = feedForward(norm(x, element));
  if (choose.chance(30)) {
    Rows scale = linear(x, 1, "f32");
    x.name = text.op(formatv(
        "lm.scaled_add {0}, {1}, {2} <sigmoid> : ({3}, {3}, {4}) -> {3}",
        x.name, y.name, scale.name, x.type(), scale.type()));
  } else {
    x = add(x, y);
  }
  return text.finish("block", {{x.name, x.type()}});
}

std::string test::makeBlockGraph(uint64_t seed) {
  return BlockText(seed).make();
}

//===----------------------------------------------------------------------===//
// Attention alone
//===----------------------------------------------------------------------===//

std::string test::makeAttentionGraph(const AttentionSizes &sizes) {
  FunctionText text;
  std::string q = rowsType(sizes.heads * sizes.headDim, sizes.queries);
  std::string kv = rowsType(sizes.kvHeads * sizes.headDim, "f32");
  std::string state = formatv("!lm.state<{0}x{1}x{2}>", sizes.kvHeads,
                              sizes.headDim, sizes.cache);
  std::string sinkType = formatv("tensor<{0}xf32>", sizes.heads);
  std::string op = "lm.attention " + text.argument(q);
  op += " append(" + text.argument(kv) + ", ";
  op += text.argument(kv) + ") state(" + text.argument(state) + ") at ";
  op += text.argument("index");
  if (sizes.sinks)
    op += " sinks(" + text.argument(sinkType) + ")";
  op += formatv(" {{heads = {0} : i64, scale = 0.25 : f64, window = {1} : i64} "
                ": ({2}, {3}, {3}, {4}, index{5}) -> {2}",
                sizes.heads, sizes.window, q, kv, state,
                sizes.sinks ? ", " + sinkType : "");
  return text.finish("attention", {{text.op(op), q}});
}
