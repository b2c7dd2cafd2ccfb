//===- GraphFile.cpp - Reads a .mlir graph --------------------------------===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#include "GraphFile.h"

#include "Diagnostics.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/AsmParser/AsmParserState.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace moec;

/// Names as they are written, without the `%`.
static std::vector<std::string> namesOf(Block &block,
                                        const AsmParserState &state) {
  std::vector<std::string> names;
  const AsmParserState::BlockDefinition *definition = state.getBlockDef(&block);
  for (BlockArgument argument : block.getArguments()) {
    StringRef name;
    if (definition && argument.getArgNumber() < definition->arguments.size()) {
      llvm::SMRange range =
          definition->arguments[argument.getArgNumber()].loc;
      name = StringRef(range.Start.getPointer(),
                       range.End.getPointer() - range.Start.getPointer());
      name.consume_front("%");
    }
    names.push_back(name.str());
  }
  return names;
}

static void noteNames(Block &functions, const AsmParserState &state,
                      GraphFile &graph) {
  for (auto function : functions.getOps<func::FuncOp>())
    if (!function.isExternal())
      graph.argumentNames[function.getName()] =
          namesOf(function.getBody().front(), state);
}

llvm::Expected<GraphFile> moec::readGraph(MLIRContext &context,
                                          StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return makeError(path + ": cannot be read: " +
                     buffer.getError().message());
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
  ErrorCollector errors(context);
  Block block;
  AsmParserState state;
  if (failed(parseAsmSourceFile(sources, &block, ParserConfig(&context),
                                &state)))
    return errors.take(path + ": is not a graph in MLIR's syntax");
  // Before the functions move into a module of their own: the parser's notes
  // go by address.
  GraphFile graph;
  noteNames(block, state, graph);
  for (auto module : block.getOps<ModuleOp>())
    noteNames(*module.getBody(), state, graph);
  graph.module = mlir::detail::constructContainerOpForParserIfNecessary<
      ModuleOp>(&block, &context,
                FileLineColLoc::get(&context, path, 1, 1));
  if (!graph.module)
    return errors.take(path + ": does not hold one module");
  return graph;
}
