//===- PreTokenizer.cpp - tokenizer.json's "pre_tokenizer" ----------------===//
//
// Part of moe-mlir. Follows tokenizers/src/pre_tokenizers of Hugging Face.
//
//===----------------------------------------------------------------------===//

#include "PreTokenizer.h"

#include "../JsonFields.h"
#include "../Utf8.h"
#include "ByteLevel.h"
#include "CharacterClass.h"
#include "Metaspace.h"
#include "Pattern.h"
#include "SplitBehavior.h"

namespace moe::runtime {

using nlohmann::json;
using Pieces = std::vector<Piece>;

static Pieces toPieces(const Piece &whole, const std::vector<Span> &spans) {
  Pieces pieces;
  for (const Span &span : spans)
    if (span.end > span.begin)
      pieces.push_back({whole.text.substr(span.begin, span.end - span.begin),
                        whole.atStart && span.begin == 0});
  return pieces;
}

static PreTokenizer::Step splitStep(Pattern pattern, SplitBehavior behavior,
                                    bool invert) {
  return [=](Piece piece) -> Result<Pieces> {
    Result<std::vector<Span>> spans = pattern.cut(piece.text);
    if (!spans)
      return passOn(spans);
    if (invert)
      for (Span &span : *spans)
        span.isMatch = !span.isMatch;
    return toPieces(piece, arrange(*spans, behavior));
  };
}

/// Splits where `matches` says so of single characters.
static PreTokenizer::Step characterStep(bool (*matches)(uint32_t),
                                        SplitBehavior behavior) {
  return [=](Piece piece) -> Result<Pieces> {
    std::vector<Span> spans;
    std::string_view text = piece.text;
    for (size_t at = 0; at < text.size();) {
      Utf8Front front = utf8Front(text.substr(at));
      size_t next = at + size_t(front.bytes);
      bool isMatch = matches(front.codePoint);
      if (!isMatch && !spans.empty() && !spans.back().isMatch)
        spans.back().end = next;
      else
        spans.push_back({at, next, isMatch});
      at = next;
    }
    return toPieces(piece, arrange(spans, behavior));
  };
}

static Result<PreTokenizer::Step> byteLevelStep(bool addPrefixSpace,
                                                bool useRegex) {
  PreTokenizer::Step split;
  if (useRegex) {
    Result<Pattern> pattern = Pattern::regex(kByteLevelPattern);
    if (!pattern)
      return passOn(pattern);
    split = splitStep(*pattern, SplitBehavior::Isolated, /*invert=*/false);
  }
  return [=](Piece piece) -> Result<Pieces> {
    if (addPrefixSpace && !piece.text.starts_with(' '))
      piece.text.insert(0, " ");
    Result<Pieces> pieces = split ? split(std::move(piece))
                                  : Result<Pieces>(Pieces{std::move(piece)});
    if (pieces)
      for (Piece &part : *pieces)
        part.text = toByteLevel(part.text);
    return pieces;
  };
}

static Result<PreTokenizer::Step> metaspaceStep(JsonFields &fields) {
  Result<Metaspace> settings = Metaspace::parse(fields);
  if (!settings)
    return passOn(settings);
  Metaspace metaspace = *settings;
  bool split = fields.boolean("split", true);
  Pattern space = Pattern::literal(" ");
  PreTokenizer::Step cut =
      splitStep(Pattern::literal(metaspace.replacement),
                SplitBehavior::MergedWithNext, /*invert=*/false);
  return [=](Piece piece) -> Result<Pieces> {
    Result<std::string> text = space.replace(piece.text, metaspace.replacement);
    if (!text)
      return passOn(text);
    bool prepend = metaspace.prepend == Metaspace::Always ||
                   (metaspace.prepend == Metaspace::First && piece.atStart);
    if (prepend && !text->starts_with(metaspace.replacement))
      text->insert(0, metaspace.replacement);
    piece.text = std::move(*text);
    return split ? cut(std::move(piece)) : Pieces{std::move(piece)};
  };
}

static Result<PreTokenizer::Step> splitFromJson(JsonFields &fields) {
  Result<Pattern> pattern = Pattern::parse(fields);
  if (!pattern)
    return passOn(pattern);
  return splitStep(*pattern, parseBehavior(fields),
                   fields.boolean("invert", false));
}

/// The step of one JSON object that is no sequence.
static Result<PreTokenizer::Step> makeStep(const std::string &type,
                                           JsonFields &fields) {
  if (type == "Split")
    return splitFromJson(fields);
  if (type == "ByteLevel")
    return byteLevelStep(fields.boolean("add_prefix_space", true),
                         fields.boolean("use_regex", true));
  if (type == "Metaspace")
    return metaspaceStep(fields);
  if (type == "Digits")
    return characterStep(isNumeric, fields.boolean("individual_digits", false)
                                        ? SplitBehavior::Isolated
                                        : SplitBehavior::Contiguous);
  if (type == "Punctuation")
    return characterStep(isPunctuation, parseBehavior(fields));
  if (type == "WhitespaceSplit")
    return characterStep(isSpace, SplitBehavior::Removed);
  if (type == "Whitespace") {
    // \w+|[^\w\s]+ keeps runs of words and of everything but space.
    PreTokenizer::Step words = characterStep(isSpace, SplitBehavior::Removed);
    PreTokenizer::Step kinds = characterStep(isWord, SplitBehavior::Contiguous);
    return [=](Piece piece) -> Result<Pieces> {
      Result<Pieces> pieces = words(std::move(piece));
      Pieces result;
      for (Piece &word : *pieces)
        for (Piece &part : *kinds(std::move(word)))
          result.push_back(std::move(part));
      return result;
    };
  }
  return fail(fields.pathOf("type"), ": '", type, "' is not supported");
}

Result<void> PreTokenizer::add(const json &value, const std::string &path) {
  JsonFields fields(value, path);
  std::string type = fields.text("type");
  if (fields.error())
    return std::unexpected(*fields.error());
  if (type == "Sequence") {
    const json &children = fields.array("pretokenizers");
    for (size_t i = 0; i < children.size(); ++i)
      if (Result<void> done = add(children[i], fields.pathOf(
                                                   "pretokenizers[" +
                                                   std::to_string(i) + "]"));
          !done)
        return done;
  } else {
    Result<Step> step = makeStep(type, fields);
    if (!step)
      return passOn(step);
    steps.push_back(std::move(*step));
  }
  if (fields.error())
    return std::unexpected(*fields.error());
  return {};
}

Result<PreTokenizer> PreTokenizer::parse(const json *value) {
  PreTokenizer preTokenizer;
  if (value)
    if (Result<void> done = preTokenizer.add(*value, "pre_tokenizer"); !done)
      return passOn(done);
  return preTokenizer;
}

Result<Pieces> PreTokenizer::apply(Piece piece) const {
  Pieces pieces;
  pieces.push_back(std::move(piece));
  for (const Step &step : steps) {
    Pieces next;
    for (Piece &part : pieces) {
      Result<Pieces> parts = step(std::move(part));
      if (!parts)
        return parts;
      std::ranges::move(*parts, std::back_inserter(next));
    }
    pieces = std::move(next);
  }
  return pieces;
}

} // namespace moe::runtime
