#!/usr/bin/env python3
"""Writes the training and held-out texts of tiny-moe and trains its tokenizer.

Four kinds of text, all freely licensed (see README.md):

  bible       King James Bible           Debian: bible-kjv bible-kjv-text
  dictionary  entries made from WordNet  Debian: wordnet-base
  python      Python's standard library  Debian: libpython3.11-stdlib
                                                 libpython3.11-minimal
  sums        lines such as 23+45=68     written by this script

  apt-get install bible-kjv bible-kjv-text wordnet-base \\
      libpython3.11-stdlib libpython3.11-minimal

What is held out is never trained on: whole chapters of the Bible, runs of 50
neighbouring dictionary entries, whole Python files, ordered pairs of summands.
The choice depends on the seed alone.

Output, in the folder named by --out:

  <kind>.train.json, <kind>.held.json   lists of documents
  sums.held_pairs.json                  the held-out pairs
  tokenizer.json                        byte-level BPE
"""
import argparse
import hashlib
import json
import random
import re
import subprocess
from pathlib import Path

SEED = 20240
VOCAB = 2048
END = "<|endoftext|>"

# Letters, single digits, punctuation and white space are kept apart before the
# merges.  This is the expression that Qwen's tokenizers use.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def bible_chapters():
    """The text as one document per chapter: "Genesis 1", then its verses."""
    books = {}
    out = subprocess.run(
        ["bible", "-l100000", "Gen1:1-Rev22:21"],
        check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    ).stdout
    chapters, title = [], None
    for line in out.splitlines():
        line = line.strip()
        verse = re.match(r"(\d+) (\S.*)$", line)
        if re.fullmatch(r"(\d )?[A-Z][A-Za-z ]+ \d+", line):
            if line != title:
                title = line
                chapters.append([line, ""])
        elif verse and title:
            chapters[-1].append(line)
    for c in chapters:
        books.setdefault(c[0].rsplit(" ", 1)[0], []).append(c[0])
    assert len(chapters) == 1189 and len(books) == 66, (len(chapters), len(books))
    return [(c[0], "\n".join(c) + "\n") for c in chapters]


LEXNAMES = (
    "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact "
    "noun.attribute noun.body noun.cognition noun.communication noun.event "
    "noun.feeling noun.food noun.group noun.location noun.motive noun.object "
    "noun.person noun.phenomenon noun.plant noun.possession noun.process "
    "noun.quantity noun.relation noun.shape noun.state noun.substance noun.time "
    "verb.body verb.change verb.cognition verb.communication verb.competition "
    "verb.consumption verb.contact verb.creation verb.emotion verb.motion "
    "verb.perception verb.possession verb.social verb.stative verb.weather "
    "adj.ppl"
).split()


# The dictionary has the nouns of these classes.
CLASSES = set(
    "act animal artifact body event feeling food motive object person "
    "phenomenon process shape tops".split()
)


def dictionary_entries(folder):
    """One entry per WordNet noun: words, class, what it is a kind of, meaning."""
    synsets = {}
    for line in open(Path(folder) / "data.noun", encoding="utf-8"):
        if line.startswith("  "):
            continue
        data, gloss = line.split(" | ", 1)
        f = data.split()
        offset, lex, n = f[0], LEXNAMES[int(f[1])], int(f[3], 16)
        words = [w.replace("_", " ") for w in f[4:4 + 2 * n:2]]
        rest = f[4 + 2 * n:]
        pointers = [rest[1 + 4 * i:5 + 4 * i] for i in range(int(rest[0]))]
        up = [p[1] for p in pointers if p[0] in ("@", "@i") and p[2] == "n"]
        synsets[offset] = (words, lex, up, gloss.strip())
    entries = []
    for words, lex, up, gloss in synsets.values():
        if lex.split(".")[1].lower() not in CLASSES:
            continue
        parts = re.split(r';\s+(?=")', gloss)
        text = ", ".join(words) + "\n  noun, " + lex.split(".")[1].lower()
        if up:
            text += "; a kind of " + ", ".join(synsets[u][0][0] for u in up)
        text += "\n  " + parts[0] + "\n"
        text += "".join("  " + p + "\n" for p in parts[1:])
        entries.append(text)
    return entries


def python_files(folder):
    """Standard library sources without tables and generated files."""
    skip = re.compile(
        r"^(encodings/|pydoc_data/|test/|dist-packages/|lib-dynload/|config-"
        r"|_sysconfigdata|html/entities|stringprep|__phello__|_sysconfig"
        r"|this\.py|sitecustomize\.py)"
    )
    files = []
    root = Path(folder)
    for path in sorted(root.rglob("*.py")):
        name = str(path.relative_to(root))
        if skip.match(name):
            continue
        text = path.read_text(encoding="utf-8")
        if len(text) > 200:
            files.append((name, text))
    return files


def line_of(a, b):
    return f"{a}+{b}={a + b}\n"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", required=True)
    p.add_argument("--wordnet", default="/usr/share/wordnet")
    p.add_argument("--stdlib", default="/usr/lib/python3.11")
    p.add_argument("--sum-lines", type=int, default=300_000)
    p.add_argument("--texts-only", action="store_true", help="train no tokenizer")
    args = p.parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    train, held = {}, {}

    chapters = bible_chapters()
    picked = set(rng.sample(range(len(chapters)), 50))
    train["bible"] = [t for i, (_, t) in enumerate(chapters) if i not in picked]
    held["bible"] = [t for i, (_, t) in enumerate(chapters) if i in picked]

    entries = dictionary_entries(args.wordnet)
    runs = [entries[i:i + 50] for i in range(0, len(entries), 50)]
    picked = set(rng.sample(range(len(runs)), 40))
    train["dictionary"] = ["".join(r) for i, r in enumerate(runs) if i not in picked]
    held["dictionary"] = ["".join(r) for i, r in enumerate(runs) if i in picked]

    files = python_files(args.stdlib)
    order = list(range(len(files)))
    rng.shuffle(order)
    picked, size = set(), 0
    for i in order:
        # One very long file would speak for all of them.
        if size < 350_000 and len(files[i][1]) < 60_000:
            picked.add(i)
            size += len(files[i][1])
    train["python"] = [t for i, (_, t) in enumerate(files) if i not in picked]
    held["python"] = [t for i, (_, t) in enumerate(files) if i in picked]

    one = [(a, b) for a in range(10) for b in range(10)]
    two = [(a, b) for a in range(10, 100) for b in range(10, 100)]
    mixed = [(a, b) for a in range(10) for b in range(10, 100)]
    mixed += [(b, a) for a, b in mixed]
    held_one, held_two = rng.sample(one, 20), rng.sample(two, len(two) // 20)
    gone = set(held_one) | set(held_two)
    one = [x for x in one if x not in gone]
    two = [x for x in two if x not in gone]
    # Sums to begin with: one and two digits.
    lines = []
    for _ in range(args.sum_lines):
        r = rng.random()
        lines.append(line_of(*rng.choice(one if r < 0.15 else two if r < 0.8 else mixed)))
    train["sums_short"] = ["".join(lines[i:i + 500]) for i in range(0, len(lines), 500)]

    # Sums of all lengths up to three digits, few of them with one digit each, so
    # that the rule is learnt and not the table.
    rng = random.Random(SEED + 1)

    def draw(one, two):
        r = rng.random()
        if r < 0.04:
            return rng.choice(one)
        if r < 0.44:
            return rng.choice(two)
        if r < 0.70:
            return rng.choice(mixed)
        pair = [rng.randrange(100, 1000), rng.randrange(10 ** rng.randint(1, 3))]
        return tuple(rng.sample(pair, 2))

    held_lines = []
    while len(held_lines) < 1500:
        pair = draw(held_one, held_two)
        # All pairs of one digit and two digits are in the training text.
        if not min(pair) < 10 <= max(pair) < 100:
            held_lines.append(pair)
    gone |= set(held_lines)
    lines = []
    while len(lines) < args.sum_lines:
        pair = draw(one, two)
        if pair not in gone:
            lines.append(line_of(*pair))
    train["sums"] = ["".join(lines[i:i + 500]) for i in range(0, len(lines), 500)]
    held["sums"] = ["".join(line_of(*x) for x in held_lines)]
    (out / "sums.held_pairs.json").write_text(
        json.dumps({"one_digit": sorted(held_one), "two_digit": sorted(held_two)}))

    for kind in train:
        for name, docs in (("train", train[kind]), ("held", held.get(kind, []))):
            (out / f"{kind}.{name}.json").write_text(json.dumps(docs))
            raw = "".join(docs).encode()
            print(f"{kind:10} {name:5} {len(docs):5} documents {len(raw):9} bytes "
                  f"sha256 {hashlib.sha256(raw).hexdigest()[:16]}")

    if args.texts_only:
        return
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=[END], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())

    def balanced(limit=4_000_000):
        for kind in ("bible", "dictionary", "python"):
            docs = list(train[kind])
            random.Random(SEED).shuffle(docs)
            used = 0
            for d in docs:
                if used < limit:
                    used += len(d)
                    yield d

    tok.train_from_iterator(balanced(), trainer)
    tok.save(str(out / "tokenizer.json"))
    assert tok.get_vocab_size() == VOCAB, tok.get_vocab_size()
    for kind in held:
        n = sum(len(tok.encode(d).ids) for d in held[kind])
        print(f"{kind:10} {len(''.join(held[kind]).encode()) / n:.3f} bytes per token (held out)")


if __name__ == "__main__":
    main()
