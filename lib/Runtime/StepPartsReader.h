//===- StepPartsReader.h - A step's parts from a header ---------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_STEPPARTSREADER_H
#define MOE_RUNTIME_STEPPARTSREADER_H

#include "JsonFields.h"
#include "moe/Runtime/StepParts.h"

namespace moe::runtime {

/// `layers` of the model, `types` of its cache. An error stays in `fields`.
StepParts readStepParts(JsonFields &fields, int64_t layers, size_t types);

} // namespace moe::runtime

#endif // MOE_RUNTIME_STEPPARTSREADER_H
