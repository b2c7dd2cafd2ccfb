//===- Metaspace.cpp - Spaces as a visible character ----------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Metaspace.h"

#include "../JsonFields.h"

namespace moe::runtime {

Result<Metaspace> Metaspace::parse(JsonFields &fields) {
  Metaspace settings;
  settings.replacement = fields.text("replacement");
  if (fields.find("prepend_scheme")) {
    std::string scheme = fields.text("prepend_scheme");
    if (scheme == "first")
      settings.prepend = First;
    else if (scheme == "never")
      settings.prepend = Never;
    else if (scheme != "always")
      fields.reject("prepend_scheme", "'" + scheme + "' is not supported");
  } else if (!fields.boolean("add_prefix_space", true)) {
    // Files from before prepend_scheme.
    settings.prepend = Never;
  }
  if (settings.replacement.empty())
    fields.reject("replacement", "expected a character");
  if (fields.error())
    return std::unexpected(*fields.error());
  return settings;
}

} // namespace moe::runtime
