#!/usr/bin/env python3
"""Trains the small tokenizers in Inputs/Tokenizers and records what the PyPI
packages make of a set of hard strings.

    pip install tokenizers==0.23.3 sentencepiece
    python make_tokenizer_goldens.py Inputs/Tokenizers

With --extra DIR, also writes tokenizers that are too large to commit: a
SentencePiece model with the nmt_nfkc rules and, where mistral-common is
installed, the Mistral and Mixtral models that it carries. The tests read DIR
from the environment variable MOE_EXTRA_TOKENIZERS.
"""

import argparse
import io
import json
import pathlib
import random
import shutil

import sentencepiece as spm
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models
from tokenizers import normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "", " ", "  ", "\n", "\t\t\n  \r\n", "a", " a", "a ", "  a  b   c    ",
    "Hello, world!", "Hello,world! I'm here; you're not, we've won, he'll, I'd",
    "HELLO I'M HERE YOU'RE it'ſ", "The quick brown fox jumps over the lazy dog.",
    "1", "12", "123", "1234", "12345678901234567890", "3.14159, -2.7e10 1,000,000",
    "x=1;y=22;z=333", "½ ² ³ Ⅷ ① 一二三 ٣٤٥ १२३",
    "def f(x):\n    return x ** 2  # square\n\n\nif __name__ == '__main__':\n\tprint(f(3))\n",
    "for (int i = 0; i < n; ++i) {\n  a[i] += b[i] * c->d;\n}  // done\r\n\r\n",
    "<html><body class=\"x\">&nbsp;</body></html>", "https://example.org/a?b=c&d=%20#e",
    "你好,世界。这是一个测试!", "こんにちは世界、テストです。カタカナ", "안녕하세요 세계", "ᄒ\u1161\u11ab",
    "Привет, мир! Ёлка", "Γειά σου Κόσμε ΣΊΣΥΦΟΣ", "مرحبا بالعالم", "שָׁלוֹם עוֹלָם", "नमस्ते दुनिया", "สวัสดีชาวโลก",
    "café cafe\u0301 naïve nai\u0308ve Å A\u030a ﬁ ﬀ Ａ１ ™ ℌ", "İstanbul ISPARTA ıi ß ẞ",
    "e\u0301\u0323\u0307 q\u0307\u0323 \u0301abc \u200d\u200c x\u200by",
    "😀", "😀😃😄", "👩‍👩‍👧‍👦 👍🏽 🇩🇪🇫🇷 ❤️", "a😀b 😀c", "🤖" * 10,
    "\u00a0nbsp\u00a0\u00a0x \u2003em\u3000ideographic \u2028line\u2029para \u0085nel \u180emvs",
    "\x00\x01\x1f\x7f", "\ufeffbom", "\ufffd", "\U0010ffff\U000e0001", "▁under▁score ▁▁ ▁", " ▁ a",
    "<s>", "</s> x <unk>", "<|endoftext|>", "a<|endoftext|>b  <|endoftext|>  c",
    "<|im_start|>user\nhi<|im_end|>\n", "<|im_start|><|im_end|><|im_", "word xwordx word, word",
    "left   [L] right", "x [R]   y", "  [L][R]  z", "[N] [n] ＮＮ [Ｎ]", "<0x41><0x0A>", "<0xZZ>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ab" * 40, " " * 70, "\n" * 20, "-" * 50, "=====\n=====", "!?!?...…—–",
    "the the the The THE theThe", "internationalization antidisestablishmentarianism",
    "zażółć gęślą jaźń", "Ünïcödé ĄĘ", "$5 €6 £7 ¥8 ₿9 + − × ÷ ≠ ≤ ∑ ∞", "a\u0000b", "tab\tseparated\tvalues",
    "[INST] What? [/INST] Yes.</s>", "'s 't 're 've 'm 'll 'd", "don't DON'T Don’t", "i\u0307 I\u0307",
]
INVALID = [
    b"\xff", b"a\xffb", b"\xe4\xbd", b"\xe4\xbd\xa0\xe4", b"\xf0\x9f\x98", b"\xf0\x9f\x98\x80\x80", b"\xc0\xaf",
    b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok \x80\x81 \xe2\x28\xa1 end", b"\xe4\xbd \xe4\xbd\xa0",
]

CORPUS = [
    "The mixture of experts layer sends each token to a few of many experts, so that the parameters grow without the cost.",
    "A router computes a score for every expert; the best two are taken and their weights renormalised.",
    "It's what we've said: they're here, I'm there, you'll see, he'd know. Don't worry!",
    "def expert(x, w1, w2):\n    h = silu(x @ w1)\n    return h @ w2\n\nfor i in range(10):\n    print(i, expert(i))\n",
    "In 2017 there were 1234 of 5678 tokens; 3.14159 is pi and 2.71828 is e. 100% of 42.",
    "你好世界。今天天气很好,我们去公园吧。这是一个测试。", "こんにちは世界。これはテストです。", "Привет, мир! Это проверка.",
    "Ein schöner Tag für Übungen; größer, älter, naïve café crème.", "😀 😃 😄 👍 ❤️ emoji everywhere 😀😀",
    "while (true) {\n\tint x = 0;\n\tif (x == 1) break;\n}\n", "word left right the and of to in is that it",
]

QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
DEEPSEEK = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
            r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_level_trainer(size, special):
    return trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False,
                               initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def byte_level():
    """GPT-2 and OLMo: the pattern inside ByteLevel; ids below 300 for the toy model."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(CORPUS, byte_level_trainer(300, ["<|endoftext|>"]))
    return t


def byte_level_prefix():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(CORPUS, byte_level_trainer(400, ["<|endoftext|>"]))
    return t


def qwen2():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(CORPUS, byte_level_trainer(600, ["<|endoftext|>"]))
    t.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    t.add_tokens(["<|tool|>"])
    return t


def llama3():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(CORPUS, byte_level_trainer(600, ["<s>", "</s>"]))
    t.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)])])
    return t


def deepseek():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.Sequence([])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"),
        pre_tokenizers.Split(Regex("[一-龥\u3040-ゟ゠-ヿ]+"), "isolated"),
        pre_tokenizers.Split(Regex(DEEPSEEK), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(CORPUS, byte_level_trainer(500, ["<s>"]))
    return t


def fallback_vocabulary(t, size, fallback=True):
    """Trains t and puts <unk>, <s>, </s> and the byte tokens in front."""
    front = ["<unk>", "<s>", "</s>"] + ([f"<0x{b:02X}>" for b in range(256)] if fallback else [])
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=size, special_tokens=front, limit_alphabet=60, show_progress=False))
    data = json.loads(t.to_str())
    data["added_tokens"] = data["added_tokens"][:3]
    return data


def llama2():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A <s> $B", special_tokens=[("<s>", 1), ("</s>", 2)])
    data = fallback_vocabulary(t, 520)
    # Merges as strings, as before tokenizers 0.20.
    data["model"]["merges"] = [" ".join(m) for m in data["model"]["merges"]]
    return Tokenizer.from_str(json.dumps(data)), data


def metaspace(scheme, fuse):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse))
    t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme)
    t.decoder = decoders.Metaspace(replacement="▁", prepend_scheme=scheme)
    data = fallback_vocabulary(t, 300, fallback=False)
    return Tokenizer.from_str(json.dumps(data)), data


def splits():
    """All the small steps in one."""
    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.normalizer = normalizers.Sequence([
        normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.NFKC(),
        normalizers.Strip(left=True, right=True), normalizers.Replace(Regex(r"\h{2}-"), "<hex>")])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.Split("=", "merged_with_next"),
        pre_tokenizers.Split(Regex(r"[;.]"), "merged_with_previous"),
        pre_tokenizers.Split(Regex(r"\w+|[^\w\s]"), "isolated", invert=True),
        pre_tokenizers.Split("q", "removed"),
        pre_tokenizers.Split(Regex(r"z+"), "contiguous"),
        pre_tokenizers.Punctuation("merged_with_previous"),
        pre_tokenizers.Digits(individual_digits=True)])
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], show_progress=False))
    return t


def whitespace():
    t = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.NFD()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits()])
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<unk>"], show_progress=False, continuing_subword_prefix="##",
        end_of_word_suffix="</w>"))
    return t


def added_flags():
    t = byte_level()
    t.normalizer = normalizers.NFKC()
    t.add_tokens([AddedToken("[L]", lstrip=True), AddedToken("[R]", rstrip=True), AddedToken("word", single_word=True),
                  AddedToken("[N]", normalized=True), AddedToken("[n]", normalized=False), AddedToken("<|im", normalized=False),
                  AddedToken("<|im_start|>", special=True, normalized=False)])
    return t


SP_RULES = "41\t61\n42\t62\n2167\t56 49 49 49\nFB01\t66 69\n3000\t20\nA0\t20\n9\t20\nA\t20\n2026\t2E 2E 2E\n65 301\tE9\n200B\t\n"


def train_sentencepiece(out, **options):
    rules = out.parent / "rules.tsv"
    if "rules" in options:
        rules.write_text(options.pop("rules"))
        options["normalization_rule_tsv"] = str(rules)
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter([l for c in CORPUS * 3 for l in c.split("\n")]),
                                   model_writer=model, minloglevel=2, **options)
    rules.unlink(missing_ok=True)
    out.write_bytes(model.getvalue())


def write_golden(path, kind, encode, decode):
    cases = []
    for data in [t.encode() for t in TEXTS] + INVALID:
        text = data.decode("utf-8", errors="replace")
        plain, special = encode(text, False), encode(text, True)
        cases.append({"text": data.hex(), "ids": plain, "special": special, "decoded": decode(plain).encode().hex()})
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    path.write_text('{"kind": "%s", "cases": [\n%s\n]}\n' % (kind, lines))


def write_json(out, name, made):
    tokenizer, data = made if isinstance(made, tuple) else (made, json.loads(made.to_str()))
    (out / f"{name}.tokenizer.json").write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    write_golden(out / f"{name}.golden.json", "tokenizer.json",
                 lambda text, special: tokenizer.encode(text, add_special_tokens=special).ids,
                 lambda ids: tokenizer.decode(ids, skip_special_tokens=True))


def write_model(out, name):
    model = spm.SentencePieceProcessor(model_file=str(out / f"{name}.tokenizer.model"))
    write_golden(out / f"{name}.golden.json", "tokenizer.model",
                 lambda text, special: model.encode(text, add_bos=special), model.decode)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--extra", type=pathlib.Path)
    arguments = parser.parse_args()
    out = arguments.out
    random.seed(0)
    for name, made in {
            "byte_level": byte_level(), "byte_level_prefix": byte_level_prefix(), "qwen2": qwen2(), "llama3": llama3(),
            "deepseek": deepseek(), "llama2": llama2(), "metaspace_first": metaspace("first", True),
            "metaspace_always": metaspace("always", False), "metaspace_never": metaspace("never", False),
            "splits": splits(), "whitespace": whitespace(), "added_flags": added_flags()}.items():
        write_json(out, name, made)
    models_ = {
        "sp_bpe": dict(model_type="bpe", vocab_size=420, byte_fallback=True, normalization_rule_name="identity",
                       remove_extra_whitespaces=False, split_digits=True, user_defined_symbols=["<|im_start|>", "▁▁", "word"]),
        "sp_bpe_rules": dict(model_type="bpe", vocab_size=200, rules=SP_RULES, character_coverage=0.98),
        "sp_unigram": dict(model_type="unigram", vocab_size=420, byte_fallback=True, normalization_rule_name="identity",
                           add_dummy_prefix=False),
        "sp_unigram_rules": dict(model_type="unigram", vocab_size=180, rules=SP_RULES, character_coverage=0.98,
                                 user_defined_symbols=["<|im_start|>", "the"]),
        "sp_suffix": dict(model_type="unigram", vocab_size=180, treat_whitespace_as_suffix=True,
                          normalization_rule_name="identity")}
    for name, options in models_.items():
        train_sentencepiece(out / f"{name}.tokenizer.model", hard_vocab_limit=False, **options)
        write_model(out, name)
    if not arguments.extra:
        return
    extra = arguments.extra
    extra.mkdir(parents=True, exist_ok=True)
    for kind in ("bpe", "unigram"):
        train_sentencepiece(extra / f"nmt_nfkc_{kind}.tokenizer.model", model_type=kind, vocab_size=300,
                            hard_vocab_limit=False)
        write_model(extra, f"nmt_nfkc_{kind}")
    try:
        import mistral_common
    except ImportError:
        return
    for file in (pathlib.Path(mistral_common.__file__).parent / "data").glob("*model.v[0-9]"):
        name = file.name.replace(".", "_")
        shutil.copy(file, extra / f"{name}.tokenizer.model")
        write_model(extra, name)


if __name__ == "__main__":
    main()
