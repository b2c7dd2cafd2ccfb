//===- LayerHeader.cpp - The header of a library --------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "LayerHeader.h"

#include "LayerFunctions.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <nlohmann/json.hpp>

using namespace mlir;
using namespace moec;
using llvm::formatv;
using nlohmann::ordered_json;

static std::string show(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// bf16 and f16 have no name in C: their bits are passed.
static StringRef cType(Type type) {
  return type.isF32()         ? "float"
         : type.isF64()       ? "double"
         : type.isInteger(8)  ? "int8_t"
         : type.isInteger(32) ? "int32_t"
         : type.isInteger(64) || type.isIndex() ? "int64_t"
                                                : "uint16_t";
}

static std::string rowsText(const LayerSignature &signature,
                            const RowCount &rows) {
  if (rows.kind == RowCount::Argument)
    return signature.arguments[rows.value].name;
  if (rows.kind == RowCount::Fixed)
    return std::to_string(rows.value);
  return rows.value == 1 ? "tokens" : formatv("tokens * {0}", rows.value).str();
}

/// [tokens][64] of f32
static std::string shapeText(const LayerSignature &signature,
                             const LayerValue &value) {
  std::string text;
  for (auto [i, dim] : llvm::enumerate(value.tensor().getShape()))
    text += "[" +
            (i == 0 && value.kind == LayerValue::Rows
                 ? rowsText(signature, value.rows)
                 : std::to_string(dim)) +
            "]";
  if (text.empty())
    text = "[1]";
  return text + " of " + show(value.tensor().getElementType());
}

static std::string upper(StringRef text) {
  std::string result = text.upper();
  for (char &c : result)
    if (!llvm::isAlnum(c))
      c = '_';
  return llvm::isDigit(result.empty() ? '0' : result[0]) ? "_" + result
                                                         : result;
}

static std::string parameter(const LayerValue &value, bool isResult) {
  switch (value.kind) {
  case LayerValue::Scalar:
    return (cType(value.type) + " " + value.name).str();
  case LayerValue::Weight:
    return "const void *" + value.name;
  case LayerValue::State:
    return "void *" + value.name;
  case LayerValue::Rows:
    break;
  }
  StringRef element = cType(value.tensor().getElementType());
  return ((isResult ? "" : "const ") + element + " *" + value.name).str();
}

static std::string meaning(const LayerSignature &signature,
                           const LayerValue &value) {
  switch (value.kind) {
  case LayerValue::Scalar:
    return "a number";
  case LayerValue::Weight:
    return formatv("packed weight, {0} bytes, made by {1}_pack from "
                   "{2}",
                   value.packed.getBytes(), signature.name,
                   shapeText(signature, value));
  case LayerValue::State:
    return formatv("KV cache, {0} bytes a position, zeroed at the start",
                   cast<lm::StateType>(value.type).getBytesPerPosition());
  case LayerValue::Rows:
    break;
  }
  return shapeText(signature, value);
}

static void renderMain(llvm::raw_ostream &os, const LayerSignature &signature) {
  std::vector<std::string> parameters;
  os << "/* Runs " << signature.name << " on `tokens` tokens.\n";
  auto describe = [&](const LayerValue &value, bool isResult) {
    parameters.push_back(parameter(value, isResult));
    os << formatv(" *   {0,-10}  {1}: {2}\n", value.name,
                  isResult ? "out" : "in", meaning(signature, value));
  };
  for (const LayerValue &argument : signature.arguments)
    describe(argument, false);
  for (const LayerValue &result : signature.results)
    describe(result, true);
  parameters.push_back("int64_t tokens");
  os << formatv(" *   {0,-10}  0 to {1}\n", "tokens", kLayerMaxTokens);
  if (signature.hasState()) {
    parameters.push_back("int64_t positions");
    os << formatv(" *   {0,-10}  positions that the caches hold, a multiple of "
                  "64\n",
                  "positions");
  }
  parameters.push_back("void *arena");
  parameters.push_back("int64_t threads");
  os << formatv(" *   {0,-10}  {1}_arena_size(tokens, threads) bytes or more; "
                "contents need not be kept\n"
                " *   {2,-10}  OpenMP threads to use, 1 to {3}\n",
                "arena", signature.name, "threads", kLayerMaxThreads)
     << " * Returns 0, or the number of an error (see the top), and then has "
        "written nothing. */\n"
     << "int " << signature.name << "(" << llvm::join(parameters, ", ")
     << ");\n\n";
}

static void renderWeights(llvm::raw_ostream &os,
                          const LayerSignature &signature) {
  std::vector<const LayerValue *> weights = signature.weights();
  if (!weights.empty()) {
    os << "/* Numbers of the weights. */\nenum {\n";
    for (auto [i, weight] : llvm::enumerate(weights))
      os << formatv("  {0}_{1} = {2}, /* {3} */\n", upper(signature.name),
                    upper(weight->name), i, shapeText(signature, *weight));
    os << "};\n\n";
  }
  os << formatv(
      "/* Bytes of a weight once packed; -1 where there is no such weight. */\n"
      "int64_t {0}_packed_size(int32_t weight);\n\n"
      "/* Packs a weight, `logical`, row-major as listed above, into "
      "`packed`.\n"
      " * `logical` is not needed afterwards. Returns 0 or an error. */\n"
      "int {0}_pack(int32_t weight, const void *logical, void *packed);\n\n"
      "/* This function's arguments and results as JSON. */\n"
      "const char *{0}_describe(void);\n\n",
      signature.name);
}

std::string moec::renderHeader(const LayerSignatures &signatures,
                               StringRef name, StringRef target) {
  std::string text;
  llvm::raw_string_ostream os(text);
  std::string guard = "MOE_" + upper(name) + "_H";
  os << formatv(
      "/* {0}: kernels compiled by moec for {1}.\n"
      " *\n"
      " * Tensors are row-major and dense. f32 is float; bf16 and f16 are "
      "passed "
      "as\n"
      " * their bits in uint16_t. Sizes are in bytes, counts in elements. "
      "Packed\n"
      " * weights, arenas and caches start at multiples of {2} bytes; other "
      "arrays at\n"
      " * multiples of their element's size. Outputs overlap nothing.\n"
      " *\n"
      " * Functions that return int return 0 when done, otherwise\n"
      " *   {3}  tokens (or a number of rows) out of range\n"
      " *   {4}  threads out of range\n"
      " *   {5}  a null pointer\n"
      " *   {6}  an arena, packed weight or cache that is not aligned\n"
      " *   {7}  no such weight\n"
      " *\n"
      " * Thread safety: there is no state but what the caller passes. Calls "
      "may run at\n"
      " * the same time if each has an arena, outputs and caches of its own; "
      "packed\n"
      " * weights may be shared. The results of a token are the same bits "
      "whatever\n"
      " * `tokens` and `threads` are; under a capacity, and for losses, "
      "whatever\n"
      " * `threads` is. Nothing is allocated. Needs libomp.\n"
      " *\n"
      " * The code runs on no older CPU than the one named above, and does not "
      "check.\n"
      " * Where that has AMX, loading the code asks Linux to let the process "
      "use it. */\n"
      "#ifndef {8}\n#define {8}\n\n#include <stdint.h>\n\n"
      "#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n",
      name, target, kLayerAlignment, int(kLayerBadTokens),
      int(kLayerBadThreads), int(kLayerNullPointer), int(kLayerMisaligned),
      int(kLayerNoSuchWeight), guard);
  for (const LayerSignature &signature : signatures) {
    renderMain(os, signature);
    os << formatv(
        "/* Bytes of the arena for calls of up to `tokens` tokens; "
        "-1 where an argument is out\n * of range. */\n"
        "int64_t {0}_arena_size(int64_t tokens, int64_t threads);\n\n",
        signature.name);
    renderWeights(os, signature);
  }
  os << "#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
  return text;
}

static ordered_json describeValue(const LayerSignature &signature,
                                  const LayerValue &value) {
  static constexpr const char *kinds[] = {"rows", "weight", "state", "scalar"};
  ordered_json json = {{"name", value.name}, {"kind", kinds[value.kind]}};
  if (value.kind == LayerValue::Scalar) {
    json["type"] = value.type.isInteger(32) ? "i32" : "i64";
    return json;
  }
  if (value.kind == LayerValue::State) {
    json["bytes_per_position"] =
        cast<lm::StateType>(value.type).getBytesPerPosition();
    return json;
  }
  json["type"] = show(value.tensor().getElementType());
  json["shape"] = ordered_json::array();
  for (auto [i, dim] : llvm::enumerate(value.tensor().getShape()))
    if (i == 0 && value.kind == LayerValue::Rows)
      json["shape"].push_back(rowsText(signature, value.rows));
    else
      json["shape"].push_back(dim);
  return json;
}

std::string moec::describeLayer(const LayerSignature &signature) {
  ordered_json json = {{"name", signature.name}};
  json["arguments"] = ordered_json::array();
  json["results"] = ordered_json::array();
  for (const LayerValue &argument : signature.arguments)
    json["arguments"].push_back(describeValue(signature, argument));
  for (const LayerValue &result : signature.results)
    json["results"].push_back(describeValue(signature, result));
  return json.dump();
}
