//===- Diagnostics.cpp - MLIR's diagnostics as one line -------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "Diagnostics.h"

#include "mlir/IR/Location.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace moec;

llvm::Error moec::makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

std::string moec::describeLocation(Location location) {
  std::string text;
  location->walk([&](Location inner) {
    auto file = dyn_cast<FileLineColLoc>(inner);
    if (!file)
      return WalkResult::advance();
    llvm::raw_string_ostream(text) << file.getFilename().getValue() << ':'
                                   << file.getLine() << ':' << file.getColumn();
    return WalkResult::interrupt();
  });
  return text;
}

ErrorCollector::ErrorCollector(MLIRContext &context)
    : handler(&context, [this](Diagnostic &diagnostic) {
        if (!first.empty() ||
            diagnostic.getSeverity() != DiagnosticSeverity::Error)
          return;
        llvm::raw_string_ostream os(first);
        std::string place = describeLocation(diagnostic.getLocation());
        if (!place.empty())
          os << place << ": ";
        os << diagnostic;
        llvm::replace(first, '\n', ' ');
      }) {}

llvm::Error ErrorCollector::take(const llvm::Twine &otherwise) {
  return makeError(first.empty() ? otherwise : llvm::Twine(first));
}
