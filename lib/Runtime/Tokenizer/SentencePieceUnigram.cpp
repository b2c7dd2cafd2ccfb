//===- SentencePieceUnigram.cpp - The likeliest segmentation --------------===//
//
// Part of moe-mlir. Model::EncodeOptimized in
// sentencepiece/src/unigram_model.cc.
//
//===----------------------------------------------------------------------===//

#include "../Utf8.h"
#include "SentencePieceModel.h"

#include <algorithm>
#include <limits>

namespace moe::runtime {

namespace {
/// The best path that ends at a byte.
struct PathEnd {
  int32_t id = -1;
  float score = 0;
  int64_t start = -1;
};

struct ScoreRange {
  float least = std::numeric_limits<float>::max();
  float most = std::numeric_limits<float>::lowest();
};
} // namespace

/// Of the normal pieces only.
static ScoreRange scoreRange(const std::vector<SentencePiece> &pieces) {
  ScoreRange range;
  for (const SentencePiece &piece : pieces)
    if (piece.type == PieceType::Normal) {
      range.least = std::min(range.least, piece.score);
      range.most = std::max(range.most, piece.score);
    }
  return range;
}

static void improve(PathEnd &end, int32_t id, double score, size_t start) {
  if (end.start == -1 || score > end.score)
    end = {id, float(score), int64_t(start)};
}

void SentencePieceModel::encodeUnigram(std::string_view text,
                                       std::vector<EncodedPiece> &out) const {
  constexpr float unknownPenalty = 10.0f;
  ScoreRange range = scoreRange(pieces);
  float unknownScore = range.least - unknownPenalty;
  std::vector<PathEnd> ends(text.size() + 1);
  for (size_t start = 0; start < text.size();) {
    float before = ends[start].score;
    size_t character =
        std::min(size_t(utf8Length(static_cast<unsigned char>(text[start]))),
                 text.size() - start);
    bool hasCharacter = false;
    size_t longest = std::min(longestPiece, text.size() - start);
    for (size_t size = 1; size <= longest; ++size) {
      auto it = textPieces.find(text.substr(start, size));
      if (it == textPieces.end() ||
          pieces[it->second].type == PieceType::Unused)
        continue;
      // A user-defined piece gets a bonus that makes it always win.
      const SentencePiece &piece = pieces[it->second];
      double score = piece.type == PieceType::UserDefined
                         ? float(size) * range.most - 0.1
                         : piece.score;
      improve(ends[start + size], it->second, score + before, start);
      hasCharacter |= size == character;
    }
    if (!hasCharacter)
      improve(ends[start + character], unknown, unknownScore + before, start);
    start += character;
  }
  size_t first = out.size();
  for (int64_t end = int64_t(text.size()); end > 0; end = ends[end].start) {
    size_t start = size_t(ends[end].start);
    out.push_back({text.substr(start, size_t(end) - start), ends[end].id});
  }
  std::reverse(out.begin() + int64_t(first), out.end());
}

} // namespace moe::runtime
