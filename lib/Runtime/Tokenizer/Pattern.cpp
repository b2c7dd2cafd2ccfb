//===- Pattern.cpp - {"String": s} or {"Regex": r} ------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Pattern.h"

#include "../JsonFields.h"

namespace moe::runtime {

Pattern Pattern::literal(std::string text) {
  Pattern pattern;
  pattern.text = std::move(text);
  return pattern;
}

Result<Pattern> Pattern::regex(const std::string &expression) {
  Result<Regex> regex = Regex::compile(expression);
  if (!regex)
    return passOn(regex);
  Pattern pattern;
  pattern.expression = std::move(*regex);
  return pattern;
}

Result<Pattern> Pattern::parse(JsonFields &fields) {
  JsonFields choice(fields.object("pattern"), fields.pathOf("pattern"));
  Result<Pattern> pattern = Pattern();
  if (choice.find("String")) {
    pattern = literal(choice.text("String"));
  } else {
    std::string expression = choice.text("Regex");
    if (!choice.error())
      pattern = regex(expression);
  }
  if (fields.error())
    return std::unexpected(*fields.error());
  if (choice.error())
    return std::unexpected(*choice.error());
  if (!pattern)
    return failIn(fields.pathOf("pattern"), pattern);
  return pattern;
}

Result<std::vector<Span>> Pattern::cut(std::string_view input) const {
  if (expression)
    return expression->cut(input);
  return cutLiteral(input, text);
}

Result<std::string> Pattern::replace(std::string_view input,
                                     std::string_view content) const {
  Result<std::vector<Span>> spans = cut(input);
  if (!spans)
    return passOn(spans);
  std::string result;
  for (const Span &span : *spans)
    result += span.isMatch ? content
                           : input.substr(span.begin, span.end - span.begin);
  return result;
}

} // namespace moe::runtime
