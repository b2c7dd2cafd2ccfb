#!/usr/bin/env python3
"""Measures tiny-moe on text it was not trained on; writes results.json.

* bits per byte of each kind of held-out text, next to PPM of order 5 (PPMd
  variant H), which reads the same training text first
* right answers to held-out sums
* the load of each expert
* routing signatures: how often each expert of each layer was chosen in a window
  of text, as a share of all choices of that layer; do they tell the kinds apart?

The weights are those of the checkpoint (bfloat16), the arithmetic is float32.
"""
import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from model import load
from train import KINDS, MIX_LATE

SEED = 20240


class Routes:
    """Gathers which experts each layer chose."""

    def __init__(self, model):
        self.layers = [layer.mlp for layer in model.layers]

    def last(self):
        """[layers, tokens, experts per token] of the last call."""
        return torch.stack([m.chosen for m in self.layers])


@torch.no_grad()
def score(model, docs, tok, routes, batch=8):
    """Bits per byte, and how often each expert was chosen.  Every token but the
    first few of a document sees at least half a window of context."""
    size, n = model.config["max_position_embeddings"], model.config["num_experts"]
    windows = []  # tokens, tokens to predict, how many of them are context alone
    for doc in docs:
        ids = [0] + tok.encode(doc).ids
        done = 0
        while done < len(ids) - 1:
            begin = max(0, done - size // 2)
            y = ids[begin + 1:begin + size + 1]
            windows.append((ids[begin:begin + len(y)], y, done - begin))
            done = begin + len(y)
    windows.sort(key=lambda w: len(w[0]))
    nats, counts = 0.0, torch.zeros(len(model.layers), n)
    for i in range(0, len(windows), batch):
        part = windows[i:i + batch]
        x, y = (torch.zeros(len(part), len(part[-1][0]), dtype=torch.long) for _ in "xy")
        used = torch.zeros(x.shape, dtype=torch.bool)
        for r, (a, b, skip) in enumerate(part):
            x[r, :len(a)] = torch.tensor(a)
            y[r, :len(a)] = torch.tensor(b)
            used[r, skip:len(a)] = True
        ls = F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="none")
        nats += ls[used.flatten()].double().sum().item()
        for c, chosen in zip(counts, routes.last()):
            c += torch.bincount(chosen[used.flatten()].flatten(), minlength=n)
    return nats / math.log(2) / sum(len(d.encode()) for d in docs), counts


def ppm(train, held, order=5):
    """Bits per byte that the held-out text adds to the compressed training text."""
    import pyppmd

    def size(raw):
        enc = pyppmd.Ppmd7Encoder(order, 1 << 29)
        return len(enc.encode(raw)) + len(enc.flush())

    train, held = ("".join(x).encode() for x in (train, held))
    return 8 * (size(train + held) - size(train)) / len(held)


@torch.no_grad()
def answer_sums(model, pairs, tok, wrong):
    """Share of pairs whose greedy continuation is the sum and a line's end."""
    ids = torch.tensor([tok.encode(f"{a}+{b}=").ids for a, b in pairs])
    start = ids.shape[1]
    for _ in range(4):
        ids = torch.cat((ids, model(ids)[:, -1].argmax(-1, keepdim=True)), 1)
    right = 0
    for (a, b), row in zip(pairs, ids[:, start:].tolist()):
        text = tok.decode(row)
        if text.startswith(f"{a + b}\n"):
            right += 1
        else:
            first = text.split("\n")[0]
            wrong.append(f"{a}+{b}={first}")
    return right / len(pairs)


@torch.no_grad()
def signatures(model, held, tok, routes, window, most):
    """Signatures, kinds and documents of windows of the held-out text."""
    rows, kinds, groups = [], [], []
    n = model.config["num_experts"]
    rng = np.random.default_rng(SEED)
    for k, kind in enumerate(KINDS):
        found = []
        for d, doc in enumerate(held[kind]):
            ids = tok.encode(doc).ids
            for s in range(0, len(ids) - window + 1, window):
                # The sums are one document; each window is its own group.
                found.append((ids[s:s + window], (kind, d if kind != "sums" else s)))
        found = [found[i] for i in sorted(rng.permutation(len(found))[:most])]
        for i in range(0, len(found), 20):
            part = found[i:i + 20]
            model(torch.tensor([f[0] for f in part]))
            chosen = routes.last().view(len(routes.layers), len(part), -1)
            for j, (_, group) in enumerate(part):
                share = [torch.bincount(c, minlength=n) / c.numel() for c in chosen[:, j]]
                rows.append(torch.cat(share).numpy())
                kinds.append(k)
                groups.append(str(group))
    return np.array(rows), np.array(kinds), np.array(groups)


def tell_apart(x, kinds, groups, shuffles):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    clf = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=SEED)
    rng = np.random.default_rng(SEED)

    def accuracy(y):
        return float(cross_val_score(clf, x, y, groups=groups, cv=folds).mean())

    base = [accuracy(rng.permutation(kinds)) for _ in range(shuffles)]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cos = unit @ unit.T
    off = ~np.eye(len(x), dtype=bool)
    names = list(KINDS)
    table = {a: {b: round(float(cos[np.ix_(kinds == i, kinds == j)]
                                [off[np.ix_(kinds == i, kinds == j)]].mean()), 3)
                 for j, b in enumerate(names)} for i, a in enumerate(names)}
    same = kinds[:, None] == kinds[None]
    return {
        "windows": len(x),
        "accuracy": round(accuracy(kinds), 4),
        "shuffled_mean": round(float(np.mean(base)), 4),
        "shuffled_max": round(float(np.max(base)), 4),
        "cosine_same_kind": round(float(cos[same & off].mean()), 4),
        "cosine_other_kind": round(float(cos[~same].mean()), 4),
        "cosine": table,
    }


@torch.no_grad()
def generate(model, tok, prompt, tokens=60):
    ids = tok.encode(prompt).ids
    for _ in range(tokens):
        n = int(model(torch.tensor([ids]))[0, -1].argmax())
        if n == 0:
            break
        ids.append(n)
    return tok.decode(ids)


PROMPTS = {
    "bible": "And it came to pass in those days, that the",
    "dictionary": "wooden spoon\n  noun, artifact; a kind of",
    "python": "    def __init__(self, name, value=None):\n",
    "sums": "23+45=68\n17+64=",
}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--data", required=True)
    p.add_argument("--model", default=str(Path(__file__).parent / "model"))
    p.add_argument("--log", help="log.json of the training run")
    p.add_argument("--out", default=str(Path(__file__).parent / "results.json"))
    p.add_argument("--quick", action="store_true", help="a part of the held-out text")
    args = p.parse_args()
    torch.set_num_threads(2)
    from tokenizers import Tokenizer

    tok = Tokenizer.from_file(str(Path(args.model) / "tokenizer.json"))
    model, data = load(args.model), Path(args.data)
    routes, res = Routes(model), {}
    read = lambda kind, part: json.loads((data / f"{kind}.{part}.json").read_text())
    held = {kind: read(kind, "held") for kind in KINDS}
    if args.quick:
        held = {k: [d[:20000] for d in v[:4]] for k, v in held.items()}

    res["parameters"] = sum(x.numel() for x in model.parameters())
    res["bits_per_byte"], counts = {}, {}
    for kind in KINDS:
        bits, counts[kind] = score(model, held[kind], tok, routes)
        raw = "".join(held[kind]).encode()
        row = {"held_out_bytes": len(raw), "model": round(bits, 3)}
        if not args.quick:
            row["ppm_order_5"] = round(ppm(read(kind, "train"), held[kind]), 3)
        res["bits_per_byte"][kind] = row
        print(kind, row, flush=True)

    pairs = json.loads((data / "sums.held_pairs.json").read_text())
    res["sums"], wrong = {}, []
    for name, p in pairs.items():
        p = p[:100] if args.quick else p
        res["sums"][name] = {"pairs": len(p), "right": round(answer_sums(model, p, tok, wrong), 4)}
    res["sums"]["wrong"] = wrong[:40]
    print(res["sums"], flush=True)

    # All kinds in the training mixture's proportions.
    share = sum(w * counts[k] / counts[k].sum(1, keepdim=True) for k, w in zip(KINDS, MIX_LATE))
    share = share * model.config["num_experts"]
    relative = {k: c / c.mean(1, keepdim=True) for k, c in counts.items()}
    res["expert_load_relative_to_mean"] = {
        "min": round(share.min().item(), 3),
        "max": round(share.max().item(), 3),
        "by_layer": [[round(x, 3) for x in row] for row in share.tolist()],
        "by_kind": {k: [[round(x, 3) for x in row] for row in r.tolist()]
                    for k, r in relative.items()},
    }
    print("load", round(share.min().item(), 3), round(share.max().item(), 3), flush=True)

    res["routing_signatures"] = {}
    for window in (32, 128):
        x = signatures(model, held, tok, routes, window, 20 if args.quick else 100)
        got = tell_apart(*x, shuffles=2 if args.quick else 10)
        res["routing_signatures"][f"{window}_tokens"] = got
        print(window, got, flush=True)

    res["samples"] = {k: generate(model, tok, t) for k, t in PROMPTS.items()}
    for s in res["samples"].values():
        print("-----\n" + s)
    if args.log:
        log = json.loads(Path(args.log).read_text())
        res["training"] = {
            "tokens_per_step": 4096, "steps": log[-1]["step"], "seconds": log[-1]["seconds"],
            "nats_per_token": [{k: v for k, v in r.items() if k != "balance"} for r in log],
        }
    Path(args.out).write_text(json.dumps(res, indent=1) + "\n")


if __name__ == "__main__":
    main()
