//===- BytePairModel.cpp - tokenizer.json's BPE model ---------------------===//
//
// Part of moe-mlir. Follows tokenizers/src/models/bpe of Hugging Face.
//
//===----------------------------------------------------------------------===//

#include "BytePairModel.h"

#include "../JsonFields.h"
#include "../Utf8.h"
#include "ByteToken.h"

#include <queue>

namespace moe::runtime {

using nlohmann::json;

static uint64_t pairKey(int32_t left, int32_t right) {
  return uint64_t(uint32_t(left)) << 32 | uint32_t(right);
}

Result<void> BytePairModel::readVocabulary(JsonFields &fields) {
  const json &vocab = fields.object("vocab");
  vocabulary.reserve(vocab.size());
  tokens.reserve(vocab.size());
  for (const auto &[token, id] : vocab.items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 ||
        id.get<int64_t>() > INT32_MAX)
      return fail("model.vocab: the id of '", token, "' is ", id.dump(),
                  ", expected a number from 0 to ", INT32_MAX);
    vocabulary.emplace(token, id.get<int32_t>());
    tokens[id.get<int32_t>()] = token;
  }
  return {};
}

Result<void> BytePairModel::addMerge(const std::string &left,
                                     const std::string &right, int32_t rank) {
  std::optional<int32_t> leftId = idOf(left), rightId = idOf(right);
  // The right part carries the prefix that marks a continuation.
  size_t skip = std::min(continuingPrefix.size(), right.size());
  std::optional<int32_t> merged = idOf(left + right.substr(skip));
  if (!leftId || !rightId || !merged)
    return fail("model.merges[", rank, "]: '", left, "' + '", right,
                "' is not in the vocabulary");
  merges[pairKey(*leftId, *rightId)] = {rank, *merged};
  return {};
}

/// A merge is "left right" or ["left", "right"].
static std::optional<std::pair<std::string, std::string>>
splitMerge(const json &item) {
  if (item.is_array() && item.size() == 2 && item[0].is_string() &&
      item[1].is_string())
    return std::pair(item[0].get<std::string>(), item[1].get<std::string>());
  if (!item.is_string())
    return std::nullopt;
  std::string text = item.get<std::string>();
  size_t space = text.find(' ');
  if (space == text.npos || text.find(' ', space + 1) != text.npos)
    return std::nullopt;
  return std::pair(text.substr(0, space), text.substr(space + 1));
}

Result<void> BytePairModel::readMerges(JsonFields &fields) {
  const json &list = fields.array("merges");
  merges.reserve(list.size());
  int32_t rank = 0;
  for (const json &item : list) {
    auto parts = splitMerge(item);
    if (!parts)
      return fail("model.merges[", rank, "]: expected two tokens");
    if (Result<void> done = addMerge(parts->first, parts->second, rank); !done)
      return done;
    ++rank;
  }
  return {};
}

Result<BytePairModel> BytePairModel::parse(const json &value) {
  JsonFields fields(value, "model");
  BytePairModel model;
  // Files from before 0.8 have no type.
  if (fields.find("type")) {
    std::string type = fields.text("type");
    if (!fields.error() && type != "BPE")
      fields.reject("type", "'" + type + "' is not supported, expected BPE");
  }
  auto optionalText = [&](const char *name) {
    return fields.find(name) ? fields.text(name) : std::string();
  };
  if (const json *dropout = fields.find("dropout"))
    if (!dropout->is_number() || dropout->get<double>() != 0)
      fields.reject("dropout", "is not supported");
  model.continuingPrefix = optionalText("continuing_subword_prefix");
  model.wordSuffix = optionalText("end_of_word_suffix");
  model.byteFallback = fields.boolean("byte_fallback", false);
  model.fuseUnknown = fields.boolean("fuse_unk", false);
  model.ignoreMerges = fields.boolean("ignore_merges", false);
  std::string unknown = optionalText("unk_token");
  bool hasUnknown = fields.find("unk_token") != nullptr;
  Result<void> done = model.readVocabulary(fields);
  if (done)
    done = model.readMerges(fields);
  if (fields.error())
    return std::unexpected(*fields.error());
  if (!done)
    return passOn(done);
  if (hasUnknown) {
    model.unknown = model.idOf(unknown);
    if (!model.unknown)
      return fail("model.unk_token: '", unknown, "' is not in the vocabulary");
  }
  return model;
}

std::optional<int32_t> BytePairModel::idOf(std::string_view token) const {
  auto it = vocabulary.find(token);
  return it == vocabulary.end() ? std::nullopt : std::optional(it->second);
}

const std::string *BytePairModel::tokenOf(int32_t id) const {
  auto it = tokens.find(id);
  return it == tokens.end() ? nullptr : &it->second;
}

/// Appends the byte tokens of a character; false when one is missing.
bool BytePairModel::appendBytes(std::string_view character,
                                std::vector<int32_t> &ids) const {
  std::vector<int32_t> bytes;
  for (char byte : character) {
    std::optional<int32_t> id =
        idOf(byteToken(static_cast<unsigned char>(byte)));
    if (!id)
      return false;
    bytes.push_back(*id);
  }
  ids.insert(ids.end(), bytes.begin(), bytes.end());
  return true;
}

/// The tokens of single characters that the merges start from. An unknown one
/// is only written when the next known character or the end comes, behind byte
/// tokens in between, as the original does.
std::vector<int32_t> BytePairModel::characters(std::string_view piece) const {
  std::vector<int32_t> ids;
  bool pendingUnknown = false;
  auto flush = [&] {
    if (pendingUnknown)
      ids.push_back(*unknown);
    pendingUnknown = false;
  };
  for (size_t at = 0; at < piece.size();) {
    size_t length =
        std::min(size_t(utf8Length(static_cast<unsigned char>(piece[at]))),
                 piece.size() - at);
    std::string_view character = piece.substr(at, length);
    std::string name(character);
    if (at > 0)
      name.insert(0, continuingPrefix);
    at += length;
    if (at == piece.size())
      name += wordSuffix;
    if (std::optional<int32_t> id = idOf(name)) {
      flush();
      ids.push_back(*id);
    } else if (byteFallback && appendBytes(name, ids)) {
      continue;
    } else if (unknown) {
      if (!fuseUnknown)
        flush();
      pendingUnknown = true;
    }
  }
  flush();
  return ids;
}

const BytePairModel::Merge *BytePairModel::findMerge(int32_t left,
                                                     int32_t right) const {
  auto it = merges.find(pairKey(left, right));
  return it == merges.end() ? nullptr : &it->second;
}

namespace {
/// A token in a doubly linked list; id -1 after it was merged away.
struct Symbol {
  int32_t id;
  int32_t previous, next;
};

struct Candidate {
  int32_t rank, position, id;
  /// The queue's top is the lowest rank, leftmost among equals.
  bool operator<(const Candidate &other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};
} // namespace

void BytePairModel::merge(std::vector<int32_t> &ids) const {
  int32_t count = int32_t(ids.size());
  std::vector<Symbol> symbols(ids.size());
  for (int32_t i = 0; i < count; ++i)
    symbols[i] = {ids[i], i - 1, i + 1 < count ? i + 1 : -1};
  std::priority_queue<Candidate> queue;
  auto consider = [&](int32_t left) {
    if (left < 0 || symbols[left].next < 0)
      return;
    if (const Merge *found =
            findMerge(symbols[left].id, symbols[symbols[left].next].id))
      queue.push({found->rank, left, found->id});
  };
  for (int32_t i = 0; i + 1 < count; ++i)
    consider(i);
  while (!queue.empty()) {
    Candidate top = queue.top();
    queue.pop();
    Symbol &left = symbols[top.position];
    if (left.id < 0 || left.next < 0)
      continue;
    // Either side may have changed since the candidate was queued.
    const Merge *found = findMerge(left.id, symbols[left.next].id);
    if (!found || found->id != top.id)
      continue;
    Symbol &right = symbols[left.next];
    left.id = top.id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0)
      symbols[left.next].previous = top.position;
    consider(left.previous);
    consider(top.position);
  }
  ids.clear();
  for (const Symbol &symbol : symbols)
    if (symbol.id >= 0)
      ids.push_back(symbol.id);
}

void BytePairModel::encode(std::string_view piece,
                           std::vector<int32_t> &ids) const {
  if (ignoreMerges)
    if (std::optional<int32_t> whole = idOf(piece)) {
      ids.push_back(*whole);
      return;
    }
  std::vector<int32_t> symbols = characters(piece);
  merge(symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

} // namespace moe::runtime
