//===- SentencePieceBpe.cpp - BPE with scores -----------------------------===//
//
// Part of moe-mlir. Model::SampleEncode in sentencepiece/src/bpe_model.cc.
//
//===----------------------------------------------------------------------===//

#include "../Utf8.h"
#include "SentencePieceModel.h"

#include <queue>

namespace moe::runtime {

namespace {
/// A piece in a doubly linked list; an empty one was merged away.
struct Symbol {
  std::string_view text;
  int32_t previous, next;
  /// A user-defined piece never merges.
  bool frozen;
};

struct Candidate {
  float score;
  int32_t left, right;
  size_t size;
  /// The queue's top has the highest score, leftmost among equals.
  bool operator<(const Candidate &other) const {
    return score != other.score ? score < other.score : left > other.left;
  }
};

class Merger {
public:
  Merger(const SentencePieceModel &model, std::string_view text)
      : model(model) {
    split(text);
    for (int32_t i = 0; i + 1 < int32_t(symbols.size()); ++i)
      consider(i, i + 1);
  }

  void run(std::vector<EncodedPiece> &out) {
    while (!queue.empty()) {
      Candidate top = queue.top();
      queue.pop();
      merge(top);
    }
    for (int32_t i = symbols.empty() ? -1 : 0; i != -1; i = symbols[i].next)
      emit(symbols[i].text, out);
  }

private:
  void split(std::string_view text) {
    while (!text.empty()) {
      size_t size = model.userDefinedPrefix(text);
      bool frozen = size > 0;
      if (!frozen)
        size = std::min(
            size_t(utf8Length(static_cast<unsigned char>(text[0]))),
            text.size());
      int32_t index = int32_t(symbols.size());
      bool last = size == text.size();
      symbols.push_back(
          {text.substr(0, size), index - 1, last ? -1 : index + 1, frozen});
      text.remove_prefix(size);
    }
  }

  void consider(int32_t left, int32_t right) {
    if (left < 0 || right < 0 || symbols[left].frozen || symbols[right].frozen)
      return;
    // Neighbours are adjacent in memory.
    size_t leftSize = symbols[left].text.size();
    std::string_view both(symbols[left].text.data(),
                          leftSize + symbols[right].text.size());
    if (both.size() > model.longestPiece)
      return;
    auto it = model.textPieces.find(both);
    if (it == model.textPieces.end())
      return;
    const SentencePiece &piece = model.pieces[it->second];
    queue.push({piece.score, left, right, both.size()});
    // An unused piece is only a step towards longer ones.
    if (piece.type == PieceType::Unused)
      halves[both] = leftSize;
  }

  void merge(const Candidate &top) {
    Symbol &left = symbols[top.left], &right = symbols[top.right];
    if (left.text.empty() || right.text.empty() ||
        left.text.size() + right.text.size() != top.size)
      return;
    left.text = std::string_view(left.text.data(), top.size);
    left.next = right.next;
    if (right.next >= 0)
      symbols[right.next].previous = top.left;
    right.text = "";
    consider(left.previous, top.left);
    consider(top.left, left.next);
  }

  void emit(std::string_view text, std::vector<EncodedPiece> &out) {
    // A stack instead of recursion: a hostile model can nest deeply.
    std::vector<std::string_view> stack = {text};
    while (!stack.empty()) {
      std::string_view piece = stack.back();
      stack.pop_back();
      int32_t id = model.idOf(piece);
      auto half = halves.find(piece);
      if (model.pieces[id].type != PieceType::Unused || half == halves.end()) {
        out.push_back({piece, id});
        continue;
      }
      stack.push_back(piece.substr(half->second));
      stack.push_back(piece.substr(0, half->second));
    }
  }

  const SentencePieceModel &model;
  std::vector<Symbol> symbols;
  std::priority_queue<Candidate> queue;
  /// Where unused pieces came from: bytes of the left half.
  std::unordered_map<std::string_view, size_t> halves;
};
} // namespace

void SentencePieceModel::encodeBpe(std::string_view text,
                                   std::vector<EncodedPiece> &out) const {
  Merger(*this, text).run(out);
}

} // namespace moe::runtime
